"""The ports of a stage: topics to write and read back, its worker's place in a consumer group, and a clock.

`meter/kafka/topics.py` implements `Topics`, `meter/kafka/group.py` implements `Group`; the module `time` is the clock.
The simulation implements all three itself and runs the same stage on them. Any error that a port raises ends the
process, so an implementation must not raise to report that a partition has moved.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Protocol

from aiokafka import ConsumerRecord
from faust.types import TP

from meter.kafka.records import Delivery, Packed, Record
from schemas.topic_identity import TopicIdentity


class Topics(Protocol):
    """All topics. The records that one partition gets must be in the order of the calls that appended them.

    `append...` returns before the records are acknowledged. Each `Delivery` completes when the broker has acknowledged
    its part, and raises if that part was not written; a stage waits for it at the next checkpoint. `write...` returns
    when the broker has acknowledged all records. An acknowledged record must not be lost: checkpoints rely on it.
    """

    async def partitions(self, topic: str) -> int:
        """Return the number of partitions of a topic. Called before outputs are packed or copied to all partitions."""

    async def identity(self, topic: str) -> TopicIdentity:
        """Return the identity of a topic as the brokers have it now. Called before each restore, so it must ask them.

        An id that the brokers do not give is "". The number of partitions must be right.
        """

    async def partition_of(self, topic: str, key: bytes) -> int:
        """Return the partition that Kafka's default partitioner chooses for `key`; `append_keyed` uses the same."""

    async def append(self, topic: str, partition: int, records: Iterable[Record]) -> list[Delivery]:
        """Append records to one partition, in order. Called for outputs that every partition of a topic gets."""

    async def append_keyed(self, topic: str, records: Iterable[Record]) -> list[Delivery]:
        """Append each record to the partition of its key. Called for outputs; the order holds in each partition."""

    async def append_packed(self, topic: str, packed: Packed) -> Delivery:
        """Append records that are encoded already, all to `packed.partition`. Called for outputs of the kernel."""

    async def write(self, topic: str, partition: int, records: Iterable[Record]) -> None:
        """Append records to one partition, and return when the broker has acknowledged all of them.

        Called for the blocks and the removals of a checkpoint, and for ticks. `records` may be empty. It may be
        generated while it is written, and must be read to its end.
        """

    async def write_one(self, topic: str, partition: int, record: Record) -> int:
        """Write one record, and return the offset that the broker has given it.

        Called for marks and fences. The offset must be exact: a fence's is its owner's name and the end of a restore.
        """

    async def end(self, topic: str, partition: int) -> int:
        """Return the offset after the partition's last record, asked from the broker.

        Called after a restore, to detect that the broker has lost records. So it must never be too low.
        """

    async def end_of_epoch(self, topic: str, partition: int, epoch: int) -> int | None:
        """Return the offset after the last record that the partition holds of this leader epoch, or of an earlier one.

        Called after a restore, and where records of another epoch arrive, to detect that the broker has lost records
        and has others at their offsets. None if the epoch is -1 or the broker does not know epochs.
        """

    def read(self, topic: str, partition: int, start: int, end: int) -> AsyncIterator[Sequence[ConsumerRecord]]:
        """Yield the partition's records from offset `start` to offset `end`, both included, in order of offset.

        Called on state topics, to restore and to look for other owners' records. `end` is the offset of a fence that
        was just written, so it exists or has been compacted in favour of a later one. Must not end before `end`.
        """


class Group(Protocol):
    """The place of this worker in its consumer group, and the offsets at which it reads.

    A partition may move to another worker at any time, also during a call. For a partition that is not this worker's,
    `position` returns None, `commit` returns False and `seek` does nothing.
    """

    @property
    def generation(self) -> int:
        """The number of the newest assignment that this worker knows.

        Read with each batch, and again before what only the partition's owner may do. It must change whenever
        partitions are assigned again: the partition of an older batch may be another worker's by now.
        """

    @property
    def is_moving(self) -> bool:
        """Whether partitions are being assigned again at this moment.

        While it is set, a stage processes no batch, completes no checkpoint and commits nothing.
        """

    def assigned(self, topic: str) -> list[TP]:
        """Return this worker's partitions of a topic. Called by each periodic run, which restores them if necessary."""

    def end(self, tp: TP) -> int:
        """Return the offset after the partition's last record, as the last fetch reported it; 0 before the first.

        Called after each batch, for the metric of the lag. Must not ask the broker.
        """

    async def beginning(self, tp: TP) -> int:
        """Return the oldest offset that the broker still has.

        Called when a partition has no checkpoint, to begin there; and before a seek, to detect records that the broker
        deleted unread.
        """

    async def committed(self, tp: TP) -> int | None:
        """Return the offset that the group has committed; None if it never committed one.

        Called when a partition has no checkpoint, to detect a state topic that was emptied.
        """

    async def position(self, tp: TP) -> int | None:
        """Return the offset that the consumer fetches next; None while it has not settled on one.

        Called while a partition is quiet. A position beyond the stage's next offset shows a hole.
        """

    async def seek(self, tp: TP, offset: int) -> None:
        """Fetch from `offset` on. Called at a hole. Batches that were fetched before may still arrive first."""

    async def commit(self, tp: TP, offset: int) -> bool:
        """Commit `offset` as the next one that the group has to read. Return whether the group accepted it.

        Called after each restore and checkpoint, while a partition is quiet, and before a mark if ownership is in
        doubt. So it must return True only if the group accepted this commit under this worker's present assignment.
        """


class Clock(Protocol):
    """The two functions that a stage uses of the module `time`."""

    def monotonic(self) -> float:
        """Return seconds since an arbitrary moment. Must never go back, and must go on while the process is paused.

        Called to decide what is due, and for how long a partition counts as owned.
        """

    def time(self) -> float:
        """Return seconds since 1970. Called only for the argument of `Fold.idle`."""
