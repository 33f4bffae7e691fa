"""What a stage needs of the world: topics to write and read back, a place in a group, a clock.

`meter/kafka/topics.py` and `meter/kafka/group.py` have them from Kafka and Faust. The simulation has its own,
and runs the same stage.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Protocol

from aiokafka import ConsumerRecord
from faust.types import TP

from meter.kafka.records import Delivery, Packed, Record


class Topics(Protocol):
    """All topics, to be written in order and read back."""

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""

    async def partition_of(self, topic: str, key: bytes) -> int:
        """Where Kafka's own default partitioner puts `key`."""

    async def append(self, topic: str, partition: int, records: Iterable[Record]) -> list[Delivery]:
        """Append records to one partition, in order; what is returned is done once the broker has them."""

    async def append_keyed(self, topic: str, records: Iterable[Record]) -> list[Delivery]:
        """Append each record to the partition of its key, in order."""

    async def append_packed(self, topic: str, packed: Packed) -> Delivery:
        """Append what is encoded already; what is returned is done once the broker has it."""

    async def write(self, topic: str, partition: int, records: Iterable[Record]) -> None:
        """Append, and return when the broker has all of it."""

    async def write_one(self, topic: str, partition: int, record: Record) -> int:
        """Write one record; the offset at which the broker has it."""

    def read(self, topic: str, partition: int, start: int, end: int) -> AsyncIterator[Sequence[ConsumerRecord]]:
        """What the partition holds from offset `start` up to and with `end`, at which there was a record."""


class Group(Protocol):
    """This worker's place in its consumer group, and where it reads. Asked of a partition that is not its own, does
    nothing.
    """

    @property
    def generation(self) -> int:
        """The number of the distribution of partitions that this worker knows."""

    @property
    def is_moving(self) -> bool:
        """Whether partitions are being distributed anew."""

    def assigned(self, topic: str) -> list[TP]:
        """This worker's partitions of a topic."""

    def end(self, tp: TP) -> int:
        """Where the partition ends, as the last fetch saw it; 0 if none has."""

    async def beginning(self, tp: TP) -> int:
        """The oldest offset that the partition still has."""

    async def position(self, tp: TP) -> int | None:
        """The offset that the consumer fetches next; None while it has not settled on one."""

    async def seek(self, tp: TP, offset: int) -> None:
        """Go on fetching at `offset`."""

    async def commit(self, tp: TP, offset: int) -> bool:
        """Make `offset` the group's next one. False if the group has moved on without this worker."""


class Clock(Protocol):
    """The module `time`, or another that has these two."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back, and goes on while the process is paused."""

    def time(self) -> float:
        """Seconds since 1970."""
