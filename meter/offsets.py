"""The group's offsets and this worker's place in a partition, asked and moved in the consumer's own thread.

Faust's acknowledgements are not used: it acknowledges what it skips while partitions move, and its next commit would
carry the group past records that no checkpoint holds.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError
from faust import App
from faust.types import TP

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class Offsets:
    """Works on the consumer of a running Faust app; asked of a partition that is not this worker's, does nothing."""

    def __init__(self, app: App) -> None:
        self._app = app

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

    async def commit(self, tp: TP, offset: int) -> None:
        """Make `offset` the group's next one."""

        async def ask(consumer: AIOKafkaConsumer, tp: TopicPartition) -> None:
            if tp in consumer.assignment():
                try:
                    await consumer.commit({tp: offset})
                except (CommitFailedError, IllegalStateError) as moved:
                    # The partition went to another worker meanwhile, which goes on at its checkpoint.
                    logger.info("%s not committed, the group moved on: %s", tp, moved)

        await self._ask(ask, tp)

    async def _ask(self, ask: Callable[[AIOKafkaConsumer, TopicPartition], Awaitable[Answer]], tp: TP) -> Answer:
        thread: Any = self._app.consumer._thread
        answer: Answer = await thread.call_thread(
            ask, thread._ensure_consumer(), TopicPartition(tp.topic, tp.partition)
        )
        return answer
