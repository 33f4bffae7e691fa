"""Offsets of a consumer group, read and moved through the consumer of `meter/kafka/transport.py`.

Both programs load that transport, so both move offsets here: the meter through `meter/kafka/group.py`, the aggregator
through `aggregator/writer/offsets.py`. Faust's own acknowledgements are not used: Faust acknowledges events that it
skips while partitions move, and its next commit would carry the group past records that no one has processed.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from meter.kafka.identity import ask_identity
from schemas.topic_identity import TopicIdentity

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

TopicAndNumber: TypeAlias = tuple[str, int]
"""A partition: Faust's `TP`, the client's `TopicPartition`, or any other pair of topic and number."""


class ConsumerOffsets:
    """The part of the transport's `Consumer` that its readers call, also for partitions that went to another worker.

    The client belongs to the consumer's thread, so its coroutines run there. The methods raise CancelledError if that
    thread has ended because the worker stops, and RuntimeError if it has ended for another reason. Errors of the client
    pass through.
    """

    app: Any
    _thread: Any
    _read_offset: Any

    def known_end(self, tp: TopicAndNumber) -> int | None:
        """Return the offset after the partition's last record, as the last fetch reported it. Asks no broker.

        None if the partition was not fetched yet, or is not this worker's.
        """
        # The consumer's thread may take the partition away before the client looks (AssertionError), or while it does.
        with suppress(AssertionError, AttributeError):
            end: int | None = self._thread._ensure_consumer().highwater(TopicPartition(*tp))
            return end
        return None

    async def beginning_of(self, tp: TopicAndNumber) -> int:
        """Return the oldest offset that the broker still has."""

        async def ask(client: AIOKafkaConsumer, tp: TopicPartition) -> int:
            return int((await client.beginning_offsets([tp]))[tp])

        return await self._in_thread(ask, TopicPartition(*tp))

    async def identity_of(self, topic: str) -> TopicIdentity:
        """Return the identity of a topic, asked from a broker each time."""

        async def ask(client: AIOKafkaConsumer, topic: str) -> TopicIdentity:
            return await ask_identity(client._client, topic)

        return await self._in_thread(ask, topic)

    async def committed_offset(self, tp: TopicAndNumber) -> int | None:
        """Return the offset that the group has committed; None if it never committed one."""

        async def ask(client: AIOKafkaConsumer, tp: TopicPartition) -> int | None:
            committed: int | None = await client.committed(tp)
            return committed

        return await self._in_thread(ask, TopicPartition(*tp))

    async def next_position(self, tp: TopicAndNumber) -> int | None:
        """Return the offset that is fetched next.

        None if the partition is not this worker's, or while the client has not settled on an offset.
        """

        async def ask(client: AIOKafkaConsumer, tp: TopicPartition) -> int | None:
            if tp not in client.assignment():
                return None
            state = client._subscription.subscription.assignment.state_value(tp)
            return int(state.position) if state.has_valid_position else None

        return await self._in_thread(ask, TopicPartition(*tp))

    async def seek_to(self, tp: TopicAndNumber, offset: int) -> None:
        """Fetch from `offset` on. Does nothing if the partition is not this worker's."""

        async def ask(client: AIOKafkaConsumer, tp: TopicPartition) -> None:
            if tp in client.assignment():
                client.seek(tp, offset)
                self._read_offset[tp] = None  # Faust drops records up to the offset that it read last.

        await self._in_thread(ask, TopicPartition(*tp))

    async def commit_offsets(self, offsets: Mapping[TopicAndNumber, int]) -> bool:
        """Commit each offset as the group's next one. Leaves out partitions that are not this worker's.

        True if all were committed. False if one was left out, or if the group has a newer assignment.
        """

        async def ask(client: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> bool:
            own = {tp: offset for tp, offset in offsets.items() if tp in client.assignment()}
            if not own:
                return not offsets
            try:
                await client.commit(own)
            except (CommitFailedError, IllegalStateError) as moved:
                # The partitions went to another worker meanwhile. It begins at the offset committed before.
                names = ", ".join(f"{tp.topic}/{tp.partition}" for tp in own)
                logger.info("%s: not committed, the group moved on: %s", names, moved)
                return False
            return len(own) == len(offsets)

        return await self._in_thread(ask, {TopicPartition(*tp): offset for tp, offset in offsets.items()})

    async def _in_thread(self, ask: Callable[..., Awaitable[Answer]], of: object) -> Answer:
        try:
            answer: Answer = await self._thread.call_thread(ask, self._thread._ensure_consumer(), of)
        except RuntimeError:
            if not self.app.should_stop:
                raise
            # A worker that stops ends the consumer's thread first. The task that asks is about to be cancelled.
            raise asyncio.CancelledError from None
        return answer
