"""All topics in memory, with the offsets and the answers of a broker, but without waiting."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from aiokafka import ConsumerRecord
from aiokafka.partitioner import DefaultPartitioner

from meter.kafka.records import Delivery, Record


class MemoryLog:
    """All topics. Answers like `meter.kafka.topics.KafkaTopics`, but never waits."""

    def __init__(self, partitions: int, now_ms: int) -> None:
        self.number = partitions
        self.now_ms = now_ms
        self.topics: defaultdict[tuple[str, int], list[ConsumerRecord]] = defaultdict(list)

    async def partitions(self, topic: str) -> int:  # noqa: ARG002 - the shape of a log
        return self.number

    async def partition_of(self, topic: str, key: bytes) -> int:  # noqa: ARG002 - the shape of a log
        return self.place(key)

    async def append(self, topic: str, partition: int, records: Iterable[Record]) -> list[Delivery]:
        for record in records:
            self.add(topic, partition, record)
        return []

    async def append_keyed(self, topic: str, records: Iterable[Record]) -> list[Delivery]:
        for record in records:
            self.add(topic, self.place(record.key or b""), record)
        return []

    async def write(self, topic: str, partition: int, records: Iterable[Record]) -> None:
        await self.append(topic, partition, records)

    def place(self, key: bytes, among: int | None = None) -> int:
        """The partition of a key, for a client that knows of `among` partitions; without it, of all."""
        every = list(range(among or self.number))
        return int(DefaultPartitioner()(key, every, every))

    def add(self, topic: str, partition: int, record: Record) -> None:
        log = self.topics[topic, partition]
        log.append(stored(topic, partition, len(log), record, self.now_ms))

    def all_of(self, topic: str) -> Iterator[ConsumerRecord]:
        """Every record of a topic, one partition after another."""
        for partition in range(self.number):
            yield from self.topics[topic, partition]


def stored(topic: str, partition: int, offset: int, record: Record, timestamp: int = 0) -> ConsumerRecord:
    """A record as a consumer gets it."""
    size = len(record.value or b"")
    return ConsumerRecord(
        topic, partition, offset, timestamp, 0, record.key, record.value, None, -1, size, tuple(record.headers or ())
    )
