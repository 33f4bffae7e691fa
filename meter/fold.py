"""The shape of what a stage runs: the state of one partition, and what its records do to it."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from aiokafka import ConsumerRecord

from meter.checkpoints import Restored
from meter.log import Record
from schemas.topics import Topic


class Output(NamedTuple):
    """Records for the partitions of their keys, or, where `everywhere`, for every partition of the topic."""

    topic: Topic
    records: list[Record]
    everywhere: bool = False


class Fold(Protocol):
    """The state of one partition, and what its records do to it."""

    def take(self, records: list[ConsumerRecord]) -> Iterable[Output]:
        """Take records in offset order; what they cause."""

    def changes(self) -> Iterable[tuple[bytes, bytes | None]]:
        """What of the state has changed since last asked; None for what ended."""

    def mark(self) -> bytes:
        """The part of the state that every checkpoint holds."""

    def confirm(self, offset: int) -> Iterable[Output]:
        """What may be said now that a checkpoint as of `offset` is complete."""

    def idle(self, now_ms: int) -> list[Record]:
        """Records for the partition's own topic, after a while in which it brought none."""


MakeFold = Callable[[int, Restored], Fold]
"""(partition, what its checkpoint held) -> the fold to go on with."""
