"""The group's offsets, moved by ourselves and not by Faust.

Faust acknowledges events that it skips while partitions move, and its next commit would carry the group past records
that nobody has written. So the topics are declared without acknowledgements, and these calls are the only ones that
move an offset.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from aggregator.writer.intake import Partition

logger = logging.getLogger(__name__)


class GroupOffsets:
    """Asks and moves through the consumer of a running Faust app, in the consumer's own thread."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def assigned(self) -> list[Partition]:
        """The partitions that this worker reads."""
        return sorted(Partition(*tp) for tp in self._app.consumer.assignment())

    async def position(self, partition: Partition) -> int | None:
        """The offset that is fetched next; None while that is not settled."""
        position: int | None = await self._in_thread(_position, TopicPartition(*partition))
        return position

    async def start_of(self, partition: Partition) -> int:
        """The committed offset; the beginning if none is, or if the log no longer reaches back that far."""
        return int(await self._in_thread(_start_of, TopicPartition(*partition)))

    async def seek(self, partition: Partition, offset: int) -> None:
        """Goes on reading at `offset`."""
        await self._in_thread(_seek, self._app.consumer, TopicPartition(*partition), offset)

    async def commit(self, next_offsets: Mapping[Partition, int]) -> None:
        """Commits for the partitions that are still this worker's."""
        await self._in_thread(_commit, {TopicPartition(*partition): at for partition, at in next_offsets.items()})

    async def ends_of(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Where the logs end, as the last fetch saw it; only partitions that are this worker's and were fetched."""
        ends = await self._in_thread(_ends_of, [TopicPartition(*partition) for partition in partitions])
        return {Partition(*partition): int(end) for partition, end in ends.items()}

    async def _in_thread(self, ask: Any, *arguments: Any) -> Any:
        thread = self._app.consumer._thread
        try:
            return await thread.call_thread(ask, thread._ensure_consumer(), *arguments)
        except RuntimeError:
            if not self._app.should_stop:
                raise
            # A worker that stops ends the consumer's thread first. Whoever asks now is about to be cancelled.
            raise asyncio.CancelledError from None


async def _start_of(consumer: Any, partition: TopicPartition) -> int:
    committed = await consumer.committed(partition)
    beginning = (await consumer.beginning_offsets([partition]))[partition]
    return max(int(committed or 0), int(beginning))


async def _position(consumer: Any, partition: TopicPartition) -> int | None:
    if partition not in consumer.assignment():
        return None
    state = consumer._subscription.subscription.assignment.state_value(partition)
    return int(state.position) if state.has_valid_position else None


async def _seek(consumer: Any, faust_consumer: Any, partition: TopicPartition, offset: int) -> None:
    if partition in consumer.assignment():
        consumer.seek(partition, offset)
        # Faust drops what lies before the offset it read last.
        faust_consumer._read_offset[partition] = None


async def _ends_of(consumer: Any, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    mine = [partition for partition in partitions if partition in consumer.assignment()]
    ends = {partition: consumer.highwater(partition) for partition in mine}
    return {partition: end for partition, end in ends.items() if end is not None}


async def _commit(consumer: Any, next_offsets: Mapping[TopicPartition, int]) -> None:
    mine = {partition: at for partition, at in next_offsets.items() if partition in consumer.assignment()}
    if not mine:
        return
    try:
        await consumer.commit(mine)
    except (CommitFailedError, IllegalStateError) as moved:
        # The partitions went to another worker meanwhile. It starts at the last commit and writes the same rows.
        logger.info("not committed, the group moved on: %s", moved)
