"""The port `Writer`, implemented by the producer that all programs of the meter use."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiokafka.errors import KafkaError

from meter.gateway.ports import KafkaAwayError
from meter.kafka.records import Record
from meter.kafka.topics import KafkaTopics, delivered
from schemas.broker_answers import ANSWERS
from schemas.topics import Topic

WRITE_S: Final = 10.0
"""How long a request waits for the broker's acknowledgement."""


class KafkaWriter:
    """Writes by a producer that waits for all in-sync copies. After a failure the same can be written again."""

    def __init__(self, topics: KafkaTopics, write_s: float = WRITE_S) -> None:
        self._topics = topics
        self._write_s = write_s

    def is_up(self) -> bool:
        """Whether a broker has answered one of the gateway's readers within 15 s."""
        return ANSWERS.is_up()

    async def write(self, topic: Topic, records: Sequence[Record]) -> None:
        """Write records, each to the partition of its key. Raises KafkaAwayError after WRITE_S."""
        async with self._limited():
            await delivered(await self._topics.append_keyed(topic.name, records))

    async def write_one(self, topic: Topic, record: Record) -> int:
        """Write one record, and return its offset. Raises KafkaAwayError after WRITE_S."""
        async with self._limited():
            partition = await self._topics.partition_of(topic.name, record.key or b"")
            return await self._topics.write_one(topic.name, partition, record)

    @asynccontextmanager
    async def _limited(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._write_s):
                yield
        except (TimeoutError, KafkaError) as error:
            raise KafkaAwayError(str(error) or f"no acknowledgement within {self._write_s:g} s") from error
