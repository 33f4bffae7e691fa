"""The shape of what a stage runs: the state of one partition, and what its records do to it."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from meter.kafka.fetched import Fetched
from meter.kafka.records import Record, Records
from schemas.topics import Topic


class Output(NamedTuple):
    """Records for the partitions of their keys, or, where `everywhere`, for every partition of the topic."""

    topic: Topic
    records: Records
    everywhere: bool = False


class State(Protocol):
    """What a checkpoint keeps: entries, which travel in blocks (`meter/stage/blocks.py`), and a mark."""

    spills: bool
    """Whether it may be larger than memory: blocks that are to be loaded must not be kept either."""

    def changed(self) -> Iterable[bytes]:
        """Blocks of what has changed or ended since last asked."""

    def sweep(self, size_bytes: int) -> tuple[bytes, bool]:
        """A block of the next entries, of about `size_bytes`, changed or not; and whether the sweep ends with it.

        What stands while a sweep lasts is met in it. What comes meanwhile may have to wait for the next.
        """

    def mark(self) -> bytes:
        """The part of the state that every checkpoint holds."""

    def load(self, offset: int, block: bytes) -> None:
        """Take in, without any state yet, a block written as of input `offset`. Of a key the highest offset counts."""

    def finish(self, mark: bytes | None, floor: int) -> None:
        """All is loaded, of which nothing as of `floor` or before counts: go on from there."""


class Fold(State, Protocol):
    """The state of one partition, and what its records do to it."""

    @property
    def is_full(self) -> bool:
        """Whether memory is held by what waits for a checkpoint, which then should come before its time."""

    def process(self, records: Sequence[Fetched]) -> Iterable[Output]:
        """Take records in offset order; what they cause."""

    def confirm(self, offset: int) -> Iterable[Output]:
        """What may be said now that a checkpoint as of `offset` is complete."""

    def idle(self, now_ms: int) -> list[Record]:
        """Records for the partition's own topic, after a while in which it brought none."""


MakeFold = Callable[[int], Fold]
"""partition -> a fold without state, to be used as it is or to be loaded."""
