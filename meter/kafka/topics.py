"""The port `Topics` of a stage (`meter/stage/ports.py`), implemented by a Kafka producer and consumer."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.partitioner import DefaultPartitioner

from meter.kafka.epochs import ask_end_of_epoch
from meter.kafka.identity import ask_identity
from meter.kafka.records import BATCH_BYTES, Delivery, Packed, PackedBatch, Record, is_alone, packed_alone
from schemas.delivery import READ_COMMITTED
from schemas.topic_identity import TopicIdentity
from schemas.topics import MAX_RECORD_BYTES, no_broker

KEYS_KNOWN_BYTES = 16 * 1024 * 1024
"""How much memory the keys of a topic may take whose partition is kept, with KEY_BYTES for each beside its own."""

KEY_BYTES = 100

LARGE_KEY_BYTES = 2 * 1024
"""A longer key is large. A workspace's id has at most 512 characters, of 4 bytes each."""

STOP_S = 5.0
"""How long `stop` waits for the broker."""


class TopicsError(Exception):
    """No producer could be started. The message says why and what to do."""


class ProducerRefusedError(TopicsError):
    """A broker answers and does not let this producer write: a restart does not help."""


class KafkaTopics:
    """Appends whole batches to topics, and reads topics back.

    The producer waits for all in-sync copies (`acks=all`). If `idempotent`, a retry of the client neither repeats nor
    reorders a batch; the broker must support it. A failed write raises KafkaError from its `Delivery`.
    """

    def __init__(self, bootstrap: str, *, idempotent: bool) -> None:
        # `start` makes the client, because a client belongs to the event loop that runs when it is made.
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
        self._known_bytes: defaultdict[str, int] = defaultdict(int)
        self._partitions: dict[str, int] = {}

    async def start(self) -> None:
        """Connect. Raises TopicsError if no broker answers, ProducerRefusedError if one does not let it write.

        Must be called before every other method except `stop`, in the event loop that uses this object.
        """
        producer = AIOKafkaProducer(**self._settings)
        try:
            await producer.start()
        except BaseException as error:
            await producer.stop()
            if isinstance(error, KafkaConnectionError):
                raise TopicsError(no_broker(self._bootstrap)) from error
            if isinstance(error, KafkaError):
                refused = TopicsError if error.retriable else ProducerRefusedError
                raise refused(
                    f"the broker at {self._bootstrap} refuses our producer ({error}); "
                    "if it has no idempotent producer, like the embedded broker, set KAFKA_IDEMPOTENT=false"
                ) from error
            raise
        self._producer = producer

    async def stop(self) -> None:
        """Write pending records and disconnect. Gives up after STOP_S if no broker answers; the client never would.

        A record that was not acknowledged is in no checkpoint, so the partition's next owner writes it again.
        """
        if self._producer is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._producer.stop(), STOP_S)

    async def partitions(self, topic: str) -> int:
        """Return the number of partitions of a topic, which is asked once and then kept."""
        if topic not in self._partitions:
            self._partitions[topic] = len(await self._started.partitions_for(topic))
        return self._partitions[topic]

    async def identity(self, topic: str) -> TopicIdentity:
        """Return the identity of a topic, asked from a broker each time."""
        return await ask_identity(self._started.client, topic)

    async def end_of_epoch(self, topic: str, partition: int, epoch: int) -> int | None:
        """Return the offset after the last record of a leader epoch, asked from the leader; None if not known."""
        return await ask_end_of_epoch(self._started.client, topic, partition, epoch)

    async def partition_of(self, topic: str, key: bytes) -> int:
        """Return the partition that Kafka's default partitioner chooses for `key`; for a large key another one.

        The partitioner is slow, over a second for 1 MiB. No workspace has a large key, so any fixed choice is right.
        """
        known = self._partition_of.setdefault(topic, {})
        found = known.get(key)
        if found is None:
            every = list(range(await self.partitions(topic)))
            if len(key) > LARGE_KEY_BYTES:
                return int(DefaultPartitioner()(sha256(key).digest(), every, every))
            found = int(DefaultPartitioner()(key, every, every))
            self._keep(topic, known, key, found)
        return found

    def _keep(self, topic: str, known: dict[bytes, int], key: bytes, partition: int) -> None:
        """Keep the partition of a key, within the bound: dead letters have the keys of their records, which are any."""
        self._known_bytes[topic] += len(key) + KEY_BYTES
        if self._known_bytes[topic] > KEYS_KNOWN_BYTES:
            known.clear()
            self._known_bytes[topic] = len(key) + KEY_BYTES
        known[key] = partition

    async def append_keyed(self, topic: str, records: Iterable[Record]) -> list[Delivery]:
        """Append each record to the partition of its key, in order. No key counts as an empty one."""
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
        """Append encoded records as one batch. The delivery completes when the broker has acknowledged it."""
        sent: Delivery = await self._started.send_batch(PackedBatch(packed), topic, partition=packed.partition)
        return sent

    async def append(self, topic: str, partition: int, records: Iterable[Record]) -> list[Delivery]:
        """Append records to one partition, in order. The deliveries complete when the broker has acknowledged them.

        Waits while the producer's memory for pending batches is full.
        """
        producer = self._started
        deliveries: list[Delivery] = []
        batch = producer.create_batch()
        for record in records:
            if is_alone(record):
                if batch.record_count():
                    deliveries.append(await producer.send_batch(batch, topic, partition=partition))
                    batch = producer.create_batch()
                deliveries.append(await self.append_packed(topic, packed_alone(partition, record)))
            elif (
                batch.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers or []))
                is None
            ):
                deliveries.append(await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                batch.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers or []))
        if batch.record_count():
            deliveries.append(await producer.send_batch(batch, topic, partition=partition))
        return deliveries

    async def write(self, topic: str, partition: int, records: Iterable[Record]) -> None:
        """Append records to one partition, and return when the broker has acknowledged all of them."""
        await delivered(await self.append(topic, partition, records))

    async def write_one(self, topic: str, partition: int, record: Record) -> int:
        """Write one record, and return the offset that the broker has given it."""
        (delivery,) = await self.append(topic, partition, [record])
        written: Any = await delivery
        return int(written.offset)

    async def end(self, topic: str, partition: int) -> int:
        """Return the offset after the partition's last record.

        The embedded broker, asked for the end, returns the one after the first record of the last batch. A fetch at
        that offset returns the true end with it.
        """
        tp = TopicPartition(topic, partition)
        async with self._consumer(tp) as consumer:
            end = int((await consumer.end_offsets([tp]))[tp])
            consumer.seek(tp, max(0, end - 1))
            while (fetched := consumer.highwater(tp)) is None:
                await consumer.getmany(tp, timeout_ms=100)
            return max(end, int(fetched))

    async def read(self, topic: str, partition: int, start: int, end: int) -> AsyncIterator[Sequence[ConsumerRecord]]:
        """Yield the partition's records from offset `start` to `end`, both included. `end` must have had a record.

        If compaction has deleted that record, a later one of its key exists, so the read still passes the end.
        """
        if start > end:
            return
        tp = TopicPartition(topic, partition)
        async with self._consumer(tp) as consumer:
            consumer.seek(tp, start)
            reached = start - 1
            while reached < end:
                records = (await consumer.getmany(tp, timeout_ms=1_000)).get(tp, [])
                if records:
                    reached = records[-1].offset
                    yield records if reached <= end else [each for each in records if each.offset <= end]

    @asynccontextmanager
    async def _consumer(self, tp: TopicPartition) -> AsyncIterator[AIOKafkaConsumer]:
        """A consumer of one partition, in no group."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=50,
            isolation_level=READ_COMMITTED,
            max_partition_fetch_bytes=MAX_RECORD_BYTES,
        )
        await consumer.start()
        try:
            consumer.assign([tp])
            yield consumer
        finally:
            await consumer.stop()

    @property
    def _started(self) -> AIOKafkaProducer:
        assert self._producer is not None, "start() comes first"
        return self._producer


async def delivered(deliveries: Iterable[Delivery]) -> None:
    """Wait until the broker has acknowledged all deliveries. Raises the first failure, in their order."""
    for delivery in deliveries:
        await delivery
