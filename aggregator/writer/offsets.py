"""The group's offsets, moved by ourselves and not by Faust.

The topics are declared without acknowledgements, and these calls are the only ones that move an offset. The calls
themselves are the transport's (`batch://`), which this package loads through Faust and does not import.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol, cast

from aggregator.writer.intake import Partition


class _Consumer(Protocol):
    """What the transport's consumer offers. A partition may be another worker's by now: then nothing is moved. What is
    awaited while the worker stops raises CancelledError.
    """

    def assignment(self) -> Collection[tuple[str, int]]:
        """This worker's partitions."""

    def known_end(self, partition: Partition) -> int | None:
        """The offset after the last record, as the last fetch reported it."""

    async def beginning_of(self, partition: Partition) -> int:
        """The oldest offset that the broker still has."""

    async def committed_offset(self, partition: Partition) -> int | None:
        """The offset at which the group goes on; None if none was ever committed."""

    async def next_position(self, partition: Partition) -> int | None:
        """The offset that is fetched next; None while that is not settled."""

    async def seek_to(self, partition: Partition, offset: int) -> None:
        """Fetch from `offset` on."""

    async def commit_offsets(self, offsets: Mapping[Partition, int]) -> bool:
        """Make each offset the one at which the group goes on; whether all were committed."""


class GroupOffsets:
    """The `Offsets` of a running Faust app."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def assigned(self) -> list[Partition]:
        """The partitions that this worker reads."""
        return sorted(Partition(*tp) for tp in self._consumer.assignment())

    async def position(self, partition: Partition) -> int | None:
        """The offset that is fetched next; None while that is not settled."""
        return await self._consumer.next_position(partition)

    async def start_of(self, partition: Partition) -> int:
        """The committed offset; the beginning if none is, or if the log no longer reaches back that far."""
        committed = await self._consumer.committed_offset(partition)
        return max(committed or 0, await self._consumer.beginning_of(partition))

    async def seek(self, partition: Partition, offset: int) -> None:
        """Goes on reading at `offset`."""
        await self._consumer.seek_to(partition, offset)

    async def commit(self, next_offsets: Mapping[Partition, int]) -> None:
        """Commits for the partitions that are still this worker's. A worker that has one of the others starts at
        the last commit and writes the same rows.
        """
        await self._consumer.commit_offsets(next_offsets)

    def ends_of(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Where the logs end, as the last fetch saw it; only partitions that are this worker's and were fetched."""
        ends = {partition: self._consumer.known_end(partition) for partition in partitions}
        return {partition: end for partition, end in ends.items() if end is not None}

    @property
    def _consumer(self) -> _Consumer:
        return cast(_Consumer, self._app.consumer)
