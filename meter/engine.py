"""What sessionizes one partition for the sessionizer: the kernel where it is built, else the core. Both do the same."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Literal, NamedTuple, Protocol

from aiokafka import ConsumerRecord

from meter.core.policy import Policy
from meter.log import Record
from schemas.dead_letters import DeadLetter

KernelUse = Literal["auto", "off", "require"]


class Taken(NamedTuple):
    """What a batch caused. `outcomes` counts its records by what became of them, `kinds` what the wallets are told."""

    outcomes: Counter[str]
    letters: list[DeadLetter]
    metered: list[Record]
    kinds: Counter[str]
    is_final: bool
    """A final tick was among the records."""


class Engine(Protocol):
    """The state of one partition of chat-events. New ones are loaded, if at all, before anything is taken."""

    @property
    def watermark_ms(self) -> int: ...

    @property
    def closed_messages(self) -> int:
        """Messages of conversations that are closed, forgotten ones too."""

    @property
    def live(self) -> int:
        """How many interactions are held."""

    def take(self, records: list[ConsumerRecord]) -> Taken:
        """Take a batch in offset order. An error leaves state that nobody may go on with."""

    def changes(self) -> Iterable[tuple[bytes, bytes | None]]:
        """The entries that changed since last asked, each key once; None for what ended (meter/core/packed.py)."""

    def changed(self, max_block_bytes: int) -> list[bytes]:
        """The same as blocks (meter/blocks.py). What one of the two has told of, the other does not tell again."""

    def sweep(self, cursor: int, count: int, max_block_bytes: int) -> tuple[list[bytes], int]:
        """Up to `count` entries from `cursor` on, 0 to begin, as they are now; the next cursor, 0 at the end.

        Whatever lives through the whole round is visited; what is added meanwhile need not be.
        """

    def load(self, offset: int, source: int, block: bytes) -> None:
        """What `source` wrote at `offset`: of each key what has the highest offset stands. Raises ValueError."""

    def finish(self, dead_sources: Collection[int]) -> None:
        """All is loaded, and entries of `dead_sources` do not count.

        What time has passed already had ended by then, and ends again with the next checkpoint.
        """


MakeEngine = Callable[[Policy, int, int, int], Engine]
"""(policy, partition, watermark_ms, closed_messages) -> an engine that holds nothing yet."""
