"""What sessionizes one partition for the sessionizer: the kernel where it is built, else the core. Both do the same."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from meter.core.policy import Policy
from meter.kafka.fetched import Fetched
from meter.kafka.records import Records
from schemas.dead_letters import DeadLetter


class Processed(NamedTuple):
    """What a batch caused. `outcomes` counts its records by what became of them, `kinds` what the wallets are told.

    `metered`, which is just that, is to be asked for before the next batch is taken, and once.
    """

    outcomes: Counter[str]
    letters: list[DeadLetter]
    metered: Records
    kinds: Counter[str]
    is_final: bool
    """A final tick was among the records."""


class Engine(Protocol):
    """The state of one partition of chat-events. New ones are loaded, if at all, before anything is taken."""

    spills: bool
    """Whether what memory has no room for lies elsewhere."""

    @property
    def is_full(self) -> bool:
        """Whether all that it has room for waits for a checkpoint."""

    @property
    def watermark_ms(self) -> int: ...

    @property
    def closed_messages(self) -> int:
        """Messages of conversations that are closed, forgotten ones too."""

    @property
    def live(self) -> int:
        """How many interactions are held."""

    @property
    def stored(self) -> int:
        """How many of them lie on disk."""

    def process(self, records: Sequence[Fetched]) -> Processed:
        """Take a batch in offset order. An error leaves state that nobody may go on with."""

    def changed(self) -> Iterable[bytes]:
        """Blocks of what changed or ended since last asked."""

    def sweep(self, size_bytes: int) -> tuple[bytes, bool]:
        """A block of the next entries, of about `size_bytes`; and whether the sweep ends with it."""

    def load(self, offset: int, block: bytes) -> None:
        """What was written as of input `offset`: of each key the highest offset stands. Raises ValueError."""

    def finish(self, floor: int, watermark_ms: int, closed_messages: int) -> None:
        """All is loaded, of which nothing as of `floor` or before counts. Raises ValueError if that cannot be."""


MakeEngine = Callable[[Policy, int], Engine]
"""(policy, partition) -> an engine that holds nothing yet."""
