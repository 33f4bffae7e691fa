"""The offsets of the consumer group `aggregator`, moved here and not by Faust.

The worker reads its topics without acknowledgements, so these calls are the only ones that move an offset. They call
the consumer of the transport `batch://` (`meter/kafka/offsets.py`), which Faust loads and this package does not import.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol, cast

from aggregator.writer.intake import Partition


class _Consumer(Protocol):
    """The part of the transport's consumer that is called here.

    Each method may be called for a partition that has gone to another worker; `seek_to` and `commit_offsets` then do
    nothing for it. The coroutines raise CancelledError if the worker stops.
    """

    def assignment(self) -> Collection[tuple[str, int]]:
        """This worker's partitions."""

    def known_end(self, partition: Partition) -> int | None:
        """The offset after the last record, as the last fetch reported it; None if there was no fetch."""

    async def beginning_of(self, partition: Partition) -> int:
        """The oldest offset that the broker still has."""

    async def committed_offset(self, partition: Partition) -> int | None:
        """The offset at which the group goes on; None if none was ever committed."""

    async def next_position(self, partition: Partition) -> int | None:
        """The offset that is fetched next; None while the consumer has not chosen one."""

    async def seek_to(self, partition: Partition, offset: int) -> None:
        """Fetch from `offset` on."""

    async def commit_offsets(self, offsets: Mapping[Partition, int]) -> bool:
        """Make each offset the one at which the group goes on. True if all were committed."""


class GroupOffsets:
    """The `Offsets` of a running Faust app."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def assigned(self) -> list[Partition]:
        """The partitions that this worker reads."""
        return sorted(Partition(*tp) for tp in self._consumer.assignment())

    async def position(self, partition: Partition) -> int | None:
        """The offset that is fetched next; None while the consumer has not chosen one."""
        return await self._consumer.next_position(partition)

    async def start_of(self, partition: Partition) -> int:
        """The committed offset, or the oldest one that the broker still has if that is higher or none is committed."""
        committed = await self._consumer.committed_offset(partition)
        return max(committed or 0, await self._consumer.beginning_of(partition))

    async def seek(self, partition: Partition, offset: int) -> None:
        """Go on reading at `offset`."""
        await self._consumer.seek_to(partition, offset)

    async def commit(self, next_offsets: Mapping[Partition, int]) -> None:
        """Commit for the partitions that are still this worker's.

        The other partitions are left out: their new owner starts at the last commit and writes the same rows again.
        """
        await self._consumer.commit_offsets(next_offsets)

    def ends_of(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The offset after the last record of each partition, as the last fetch reported it.

        Leaves out partitions that were not fetched yet, or are not this worker's.
        """
        ends = {partition: self._consumer.known_end(partition) for partition in partitions}
        return {partition: end for partition, end in ends.items() if end is not None}

    @property
    def _consumer(self) -> _Consumer:
        return cast(_Consumer, self._app.consumer)
