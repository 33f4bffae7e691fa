"""Writing to Kafka in batches, knowing where a key goes, and reading back what a partition holds."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.partitioner import DefaultPartitioner

from meter.kafka.records import BATCH_BYTES, Delivery, Packed, PackedBatch, Record, packed_alone
from schemas.topics import MAX_RECORD_BYTES, no_broker

ALONE_BYTES = 64 * 1024
"""A record as large as this is a batch of its own."""

KEYS_KNOWN = 100_000
"""Keys of a topic whose partition is remembered, at most."""

STOP_S = 5.0


class TopicsError(Exception):
    """Nothing can be written; the message says why and what to do."""


class KafkaTopics:
    """A producer that appends whole batches. `acks=all`; idempotent wherever the broker can be."""

    def __init__(self, bootstrap: str, *, idempotent: bool) -> None:
        # The client is made in `start`, because it belongs to the event loop that runs then.
        self._bootstrap = bootstrap
        self._settings: dict[str, Any] = {
            "bootstrap_servers": bootstrap,
            "acks": "all",
            "enable_idempotence": idempotent,
            "max_batch_size": BATCH_BYTES,
            "max_request_size": MAX_RECORD_BYTES,
        }
        self._producer: AIOKafkaProducer | None = None
        self._partition_of: dict[str, dict[bytes, int]] = {}
        self._partitions: dict[str, int] = {}

    async def start(self) -> None:
        """Connect. Raises TopicsError when no broker answers, or none that can do what is asked."""
        producer = AIOKafkaProducer(**self._settings)
        try:
            await producer.start()
        except KafkaConnectionError as error:
            await producer.stop()
            raise TopicsError(no_broker(self._bootstrap)) from error
        except KafkaError as error:
            await producer.stop()
            raise TopicsError(
                f"the broker at {self._bootstrap} does not let us write ({error}); "
                "if it has no idempotent producer, as the embedded one has not, set KAFKA_IDEMPOTENT=false"
            ) from error
        except BaseException:
            await producer.stop()
            raise
        self._producer = producer

    async def stop(self) -> None:
        """Write what is pending and disconnect; without a broker, give up after STOP_S.

        The client would try for ever. What was not acknowledged is in no checkpoint: whoever goes on writes it again.
        """
        if self._producer is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._producer.stop(), STOP_S)

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        if topic not in self._partitions:
            self._partitions[topic] = len(await self._started.partitions_for(topic))
        return self._partitions[topic]

    async def partition_of(self, topic: str, key: bytes) -> int:
        """Where Kafka's own default partitioner puts `key`."""
        known = self._partition_of.setdefault(topic, {})
        found = known.get(key)
        if found is None:
            every = list(range(await self.partitions(topic)))
            if len(known) >= KEYS_KNOWN:
                known.clear()  # Dead letters keep the keys they came with, whatever those are.
            found = known[key] = int(DefaultPartitioner()(key, every, every))
        return found

    async def append_keyed(self, topic: str, records: Iterable[Record]) -> list[Delivery]:
        """Append each record to the partition of its key, in order."""
        by_partition: defaultdict[int, list[Record]] = defaultdict(list)
        known = self._partition_of.setdefault(topic, {})
        for record in records:
            partition = known.get(record.key or b"")
            if partition is None:
                partition = await self.partition_of(topic, record.key or b"")
            by_partition[partition].append(record)
        deliveries: list[Delivery] = []
        for partition, part in by_partition.items():
            deliveries += await self.append(topic, partition, part)
        return deliveries

    async def append_packed(self, topic: str, packed: Packed) -> Delivery:
        """Append what is encoded already; what is returned is done once the broker has it."""
        sent: Delivery = await self._started.send_batch(PackedBatch(packed), topic, partition=packed.partition)
        return sent

    async def append(self, topic: str, partition: int, records: Iterable[Record]) -> list[Delivery]:
        """Append records to one partition, in order; what is returned is done once the broker has them."""
        producer = self._started
        deliveries: list[Delivery] = []
        batch = producer.create_batch()
        for record in records:
            if len(record.value or b"") >= ALONE_BYTES:
                if batch.record_count():
                    deliveries.append(await producer.send_batch(batch, topic, partition=partition))
                    batch = producer.create_batch()
                deliveries.append(await self.append_packed(topic, packed_alone(partition, record)))
            elif batch.append(timestamp=None, key=record.key, value=record.value, headers=record.headers or []) is None:
                deliveries.append(await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                batch.append(timestamp=None, key=record.key, value=record.value, headers=record.headers or [])
        if batch.record_count():
            deliveries.append(await producer.send_batch(batch, topic, partition=partition))
        return deliveries

    async def write(self, topic: str, partition: int, records: Iterable[Record]) -> None:
        """Append, and return when the broker has all of it."""
        await delivered(await self.append(topic, partition, records))

    async def write_one(self, topic: str, partition: int, record: Record) -> int:
        """Write one record; the offset at which the broker has it."""
        (delivery,) = await self.append(topic, partition, [record])
        written: Any = await delivery
        return int(written.offset)

    async def read(self, topic: str, partition: int, start: int, end: int) -> AsyncIterator[Sequence[ConsumerRecord]]:
        """What the partition holds from offset `start` up to and with `end`, at which there was a record.

        Should compaction have taken that one, there is a later one of its key to tell that the end was passed.
        """
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=50,
            max_partition_fetch_bytes=MAX_RECORD_BYTES,
        )
        tp = TopicPartition(topic, partition)
        await consumer.start()
        try:
            consumer.assign([tp])
            consumer.seek(tp, start)
            reached = start - 1
            while reached < end:
                records = (await consumer.getmany(tp, timeout_ms=1_000)).get(tp, [])
                if records:
                    reached = records[-1].offset
                    yield records if reached <= end else [each for each in records if each.offset <= end]
        finally:
            await consumer.stop()

    @property
    def _started(self) -> AIOKafkaProducer:
        assert self._producer is not None, "start() comes first"
        return self._producer


async def delivered(deliveries: Iterable[Delivery]) -> None:
    """Return when the broker has acknowledged all of them. Raises the first failure."""
    for delivery in deliveries:
        await delivery
