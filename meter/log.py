"""Writing to Kafka in batches, and knowing where a key goes."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from schemas.topics import MAX_RECORD_BYTES

BATCH_BYTES = 512 * 1024

Headers = list[tuple[str, bytes]]


class Record(NamedTuple):
    """One record to write. At least one of key and value is not None."""

    key: bytes | None
    value: bytes | None
    headers: Headers = []


class Log:
    """A producer that appends whole batches. `acks=all`; idempotent wherever the broker can be."""

    def __init__(self, bootstrap: str, *, idempotent: bool) -> None:
        # The client is made in `start`, because it belongs to the event loop that runs then.
        self._settings: dict[str, Any] = {
            "bootstrap_servers": bootstrap,
            "acks": "all",
            "enable_idempotence": idempotent,
            "max_batch_size": BATCH_BYTES,
            "max_request_size": MAX_RECORD_BYTES,
        }
        self._producer: AIOKafkaProducer | None = None
        self._partition_of: dict[tuple[str, bytes], int] = {}
        self._partitions: dict[str, int] = {}

    async def start(self) -> None:
        """Connect. Raises aiokafka's KafkaConnectionError when no broker answers."""
        producer = AIOKafkaProducer(**self._settings)
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        self._producer = producer

    async def stop(self) -> None:
        """Write what is pending and disconnect."""
        if self._producer is not None:
            await self._producer.stop()

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        if topic not in self._partitions:
            self._partitions[topic] = len(await self._started.partitions_for(topic))
        return self._partitions[topic]

    async def partition_of(self, topic: str, key: bytes) -> int:
        """Where Kafka's own default partitioner puts `key`."""
        found = self._partition_of.get((topic, key))
        if found is None:
            every = list(range(await self.partitions(topic)))
            found = self._partition_of[topic, key] = int(DefaultPartitioner()(key, every, every))
        return found

    async def write_keyed(self, topic: str, records: Iterable[Record]) -> None:
        """Append each record to the partition of its key, in order; returns when the broker has all of them."""
        by_partition: defaultdict[int, list[Record]] = defaultdict(list)
        for record in records:
            by_partition[await self.partition_of(topic, record.key or b"")].append(record)
        for partition, part in by_partition.items():
            await self.write(topic, partition, part)

    async def write(self, topic: str, partition: int, records: Iterable[Record]) -> None:
        """Append records to one partition, in order; returns when the broker has all of them."""
        producer = self._started
        pending = []
        batch = producer.create_batch()
        for record in records:
            if batch.append(timestamp=None, key=record.key, value=record.value, headers=record.headers) is None:
                pending.append(await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                batch.append(timestamp=None, key=record.key, value=record.value, headers=record.headers)
        if batch.record_count():
            pending.append(await producer.send_batch(batch, topic, partition=partition))
        for delivery in pending:
            await delivery

    @property
    def _started(self) -> AIOKafkaProducer:
        assert self._producer is not None, "start() comes first"
        return self._producer
