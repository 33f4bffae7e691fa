"""The one large act of an operator that some rounds have: which it is, and when."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from schemas.topics import (
    ACCOUNT_COMMANDS,
    CHAT_EVENTS,
    COMMAND_STATE,
    CONVERSATION_STATE,
    DEAD_LETTERS,
    EVENT_COUNTS,
    LEDGER,
    WALLET_INPUTS,
    WALLET_STATE,
)

SOURCE: Final = "source created again"
STATE: Final = "state created again"
OUTPUT: Final = "output created again"
EMPTIED: Final = "clickhouse emptied"
RESTORED: Final = "clickhouse restored"
REPARTITIONED: Final = "partitions added"

ACT_SEEDS: Final = 20
ACTS: Final[Mapping[int, str]] = {
    1: SOURCE,
    3: EMPTIED,
    6: STATE,
    8: OUTPUT,
    11: SOURCE,
    13: RESTORED,
    16: STATE,
    18: REPARTITIONED,
}
"""The remainder of a seed divided by ACT_SEEDS -> the act of its round. Of 100 rounds 40 have one, each kind five or
more; the others have none, because an act takes many seconds. No round has both an act and a kill of the broker.
"""

PARTITIONS: Final = (8, 12)
"""How many partitions there are after some were added to the four of each round.

Multiples of four: with other numbers partitions are merged, and a feed of old events is then late in some of them.
"""

TOPICS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    SOURCE: (CHAT_EVENTS.name, WALLET_INPUTS.name, ACCOUNT_COMMANDS.name),
    STATE: (CONVERSATION_STATE.name, WALLET_STATE.name, COMMAND_STATE.name),
    OUTPUT: (LEDGER.name, DEAD_LETTERS.name, EVENT_COUNTS.name),
}
"""The topics that an act deletes and creates again, in turn."""

EARLY_SLICES: Final = 5
"""How many slices are written in the middle of an act that is `early`."""


@dataclass(frozen=True)
class Act:
    """One act, before slice number `slice_number` of the feed is written."""

    kind: str
    slice_number: int
    topic: str = ""
    """The topic that is deleted and created again, if one is."""
    kills: bool = False
    """Whether the workers are ended with -9."""
    is_early: bool = False
    """Whether EARLY_SLICES are written while the topic is new and no command has been given yet."""
    partitions: int = 0
    """How many every topic gets, if partitions are added."""
    cut_s: float | None = None
    """After how long the command that goes on is killed, to be given once more; None if it is not."""

    @property
    def gates(self) -> tuple[int, ...]:
        """The numbers of the slices before which the feed waits for the act."""
        more = self.is_early and self.kind in (SOURCE, STATE, REPARTITIONED)
        return (self.slice_number, self.slice_number + EARLY_SLICES) if more else (self.slice_number,)

    def is_without_foreign(self, slice_number: int) -> bool:
        """Whether no line of a slice may have to be moved: there may be no worker that could, until the next gate.

        What is moved much later is late.
        """
        may_stand = self.is_early and self.kind in (SOURCE, STATE, REPARTITIONED)
        return may_stand and 0 <= slice_number - self.slice_number < EARLY_SLICES


def act_of(seed: int, slices: int) -> Act | None:
    """Return the act of a round with so many slices, None if it has none."""
    kind = ACTS.get(seed % ACT_SEEDS)
    if kind is None:
        return None
    rng = Random(f"act {seed}")
    number = _number(seed, kind)
    topics = TOPICS_OF.get(kind, ("",))
    return Act(
        kind,
        slice_number=round(slices * rng.uniform(0.35, 0.7)),
        topic=topics[number % len(topics)],
        kills=number % 5 in (1, 4),
        is_early=number % 2 == 0,
        partitions=PARTITIONS[number // 2 % len(PARTITIONS)] if kind == REPARTITIONED else 0,
        cut_s=rng.uniform(0.6, 2.0) if number % 4 in (0, 3) else None,
    )


def _number(seed: int, kind: str) -> int:
    """How many acts of this kind come before, counted from seed 0. So a hundred rounds have all ways of each kind."""
    alike = [remainder for remainder, each in ACTS.items() if each == kind]
    return seed // ACT_SEEDS * len(alike) + alike.index(seed % ACT_SEEDS)
