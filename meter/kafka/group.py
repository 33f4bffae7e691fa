"""This worker's place in its consumer group, and the group's offsets, asked and moved in the consumer's own thread.

Faust's acknowledgements are not used: it acknowledges what it skips while partitions move, and its next commit would
carry the group past records that no checkpoint holds.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError
from faust import App
from faust.types import TP

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class FaustGroup:
    """The `Group` of a running Faust app."""

    def __init__(self, app: App) -> None:
        self._app = app

    @property
    def generation(self) -> int:
        """The number of the distribution of partitions that this worker knows."""
        return int(self._app.consumer_generation_id)

    @property
    def is_moving(self) -> bool:
        """Whether partitions are being distributed anew."""
        return bool(self._app.rebalancing)

    def assigned(self, topic: str) -> list[TP]:
        """This worker's partitions of a topic."""
        return sorted(tp for tp in self._app.consumer.assignment() if tp.topic == topic)

    def end(self, tp: TP) -> int:
        """Where the partition ends, as the last fetch saw it; 0 if none has."""
        with suppress(AssertionError):  # The client's way to say that the partition has just gone to another worker.
            return int(self._app.consumer.highwater(tp) or 0)
        return 0

    async def beginning(self, tp: TP) -> int:
        """The oldest offset that the partition still has."""

        async def ask(consumer: AIOKafkaConsumer, tp: TopicPartition) -> int:
            return int((await consumer.beginning_offsets([tp]))[tp])

        return await self._ask(ask, tp)

    async def position(self, tp: TP) -> int | None:
        """The offset that the consumer fetches next; None while it has not settled on one."""

        async def ask(consumer: AIOKafkaConsumer, tp: TopicPartition) -> int | None:
            if tp not in consumer.assignment():
                return None
            state = consumer._subscription.subscription.assignment.state_value(tp)
            return int(state.position) if state.has_valid_position else None

        return await self._ask(ask, tp)

    async def seek(self, tp: TP, offset: int) -> None:
        """Go on fetching at `offset`."""
        faust_consumer = self._app.consumer

        async def ask(consumer: AIOKafkaConsumer, tp: TopicPartition) -> None:
            if tp in consumer.assignment():
                consumer.seek(tp, offset)
                faust_consumer._read_offset[tp] = None  # Faust drops what lies before the offset it read last.

        await self._ask(ask, tp)

    async def commit(self, tp: TP, offset: int) -> bool:
        """Make `offset` the group's next one. False if the group has moved on without this worker."""

        async def ask(consumer: AIOKafkaConsumer, tp: TopicPartition) -> bool:
            if tp not in consumer.assignment():
                return False
            try:
                await consumer.commit({tp: offset})
            except (CommitFailedError, IllegalStateError) as moved:
                # The partition went to another worker meanwhile, which goes on at its checkpoint.
                logger.info("%s not committed, the group moved on: %s", tp, moved)
                return False
            return True

        return await self._ask(ask, tp)

    async def _ask(self, ask: Callable[[AIOKafkaConsumer, TopicPartition], Awaitable[Answer]], tp: TP) -> Answer:
        thread: Any = self._app.consumer._thread
        try:
            answer: Answer = await thread.call_thread(
                ask, thread._ensure_consumer(), TopicPartition(tp.topic, tp.partition)
            )
        except RuntimeError:
            if not self._app.should_stop:
                raise
            # A worker that stops ends the consumer's thread first. Whoever asks now is about to be cancelled.
            raise asyncio.CancelledError from None
        return answer
