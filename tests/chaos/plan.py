"""What a round will do, all of it drawn from its seed: how many workers, with what settings, and which faults when."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from schemas.topics import CONVERSATION_STATE, LEDGER, WALLET_INPUTS, WALLET_STATE
from tests.chaos.act import RESTORED, Act, act_of
from tests.chaos.settings import DEBIT_ORDER, HORIZON

SESSIONS_S: Final = (1.5, 2.0, 3.0)
"""Silence after which a worker's partitions go to others: short, for while a group waits for the dead nobody works."""

LARGE_SIZE: Final = 10_000
LARGE_SESSION: Final = 4
"""Beyond that size sessions are so many times as long. To restore much takes a busy machine seconds, and a session that
is over before leads to the next distribution, and to the next restore, without end.
"""

SLICE_EVERY_S: Final = 0.12
"""A trickle, so that at any moment something is read, charged, saved and inserted: a kill in idleness shows nothing."""

TOPIC_SETTING: Final = "topic setting"
PROCESS_SETTING: Final = "process setting"
CONTRADICTION: Final = "contradiction"

KINDS: Final = {
    "kill": 12,
    "kill all": 2,
    "stop": 4,
    "pause": 5,
    "join": 3,
    "clickhouse kill": 3,
    "clickhouse pause": 2,
    "policy": 2,
    TOPIC_SETTING: 1,
    PROCESS_SETTING: 2,
    CONTRADICTION: 1,
}
"""The faults that a draw comes to, and their weights."""

BROKER_KILL: Final = "broker kill"
BROKER_ROUND: Final = 5
"""Seeds that this divides have one more fault: it takes the broker some seconds to come back."""

COPY: Final = "clickhouse copy"
"""Before the act that restores ClickHouse from a copy there is one more fault: the copy is made."""

_METER_SHARE: Final = 0.6


@dataclass(frozen=True)
class Fault:
    """Something that happens `at_s` seconds into a round, to the `which`-th of the workers of a program, if to any.

    `which` also chooses a setting. `length_s` is how long a pause lasts, how long a worker that joined stays, and how
    long a server is away; of a kill, how long after the next record on `topic` it comes. Of a contradiction, `topic` is
    the variable that contradicts.
    """

    at_s: float
    kind: str
    program: str
    which: int
    length_s: float
    topic: str = ""


@dataclass(frozen=True)
class Plan:
    """One round. Times are seconds since its workers began to work."""

    seed: int
    meters: int
    aggregators: int
    session_s: float
    checkpoint_ms: int
    flush_ms: int
    spills: bool
    """Whether chat events' state lies on disk as far as it may."""
    slices_at_s: tuple[float, ...]
    """When each slice of the feed is written."""
    faults: tuple[Fault, ...]
    act: Act | None = None
    """What an operator does in the middle of the round, when all faults before it are over."""

    def faults_before_act(self) -> tuple[Fault, ...]:
        """Return the faults that come before the act; all if there is no act."""
        return tuple(fault for fault in self.faults if fault.at_s < self._act_at_s())

    def faults_after_act(self) -> tuple[Fault, ...]:
        """Return the other faults. Their times are seconds since the act."""
        act_at_s = self._act_at_s()
        return tuple(replace(fault, at_s=fault.at_s - act_at_s) for fault in self.faults if fault.at_s >= act_at_s)

    def _act_at_s(self) -> float:
        return math.inf if self.act is None else self.slices_at_s[self.act.slice_number]


def plan_of(seed: int, size: int, *, faults: int | None = None) -> Plan:
    """The plan of a round of `size` events. As many faults as its length calls for, unless their number is given."""
    rng = Random(seed)
    session_s = rng.choice(SESSIONS_S) * (LARGE_SESSION if size > LARGE_SIZE else 1)
    span_s = 7 + size / 10_000
    drawn: list[Fault] = []
    for _ in range(9 + size // 15_000 if faults is None else faults):
        drawn += _draw(rng, span_s, session_s)
    if seed % BROKER_ROUND == 0:
        drawn.append(Fault(rng.uniform(0.5, span_s), BROKER_KILL, "", 0, rng.uniform(0, 2)))
    slices_at_s = tuple(sorted(rng.uniform(0, span_s) for _ in range(round(span_s / SLICE_EVERY_S))))
    act = act_of(seed, len(slices_at_s))
    if act is not None and act.kind == RESTORED:
        drawn.append(Fault(rng.uniform(0.3, 0.7) * slices_at_s[act.slice_number], COPY, "", 0, 0.0))
    return Plan(
        seed=seed,
        meters=rng.choice((2, 2, 3)),
        aggregators=rng.choice((1, 2, 2)),
        session_s=session_s,
        checkpoint_ms=rng.choice((50, 200, 1_000)),
        flush_ms=rng.choice((20, 100, 500)),
        slices_at_s=slices_at_s,
        faults=tuple(sorted(_contradicting(drawn), key=lambda fault: fault.at_s)),
        spills=rng.random() < 0.5,
        act=act,
    )


def _draw(rng: Random, span_s: float, session_s: float) -> Iterator[Fault]:
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    program = "meter" if rng.random() < _METER_SHARE else "aggregator"
    at_s = rng.uniform(0.2, span_s)
    # A pause is of use only beyond the session: what wakes up has lost its partitions and does not know.
    length_s = session_s + rng.uniform(0.3, 2) if kind == "pause" else rng.uniform(0.3, 3)
    if kind in ("kill", "kill all"):
        yield _kill(rng, at_s, kind, program)
        return
    yield Fault(at_s, kind, program, rng.randrange(6), length_s)
    if kind.startswith("clickhouse"):
        # Whoever waits for ClickHouse holds rows that are nowhere else.
        yield _kill(rng, at_s + rng.uniform(0.1, length_s), "kill", "aggregator")


def _kill(rng: Random, at_s: float, kind: str, program: str) -> Fault:
    """In the act: a meter while it writes, an aggregator while it gathers and inserts what has just come."""
    if program == "meter":
        topic = rng.choice((WALLET_INPUTS, LEDGER, CONVERSATION_STATE, WALLET_STATE))
        return Fault(at_s, kind, program, rng.randrange(6), rng.choice((0, rng.uniform(0, 0.02))), topic.name)
    return Fault(at_s, kind, program, rng.randrange(6), rng.uniform(0, 0.3), LEDGER.name)


def _contradicting(faults: list[Fault]) -> Iterator[Fault]:
    """Say which variable contradicts the policy: not the debit order in a round that changes it."""
    changes = any(fault.kind == "policy" for fault in faults)
    for fault in faults:
        variable = HORIZON if changes or fault.which % 2 else DEBIT_ORDER
        yield replace(fault, topic=variable) if fault.kind == CONTRADICTION else fault
