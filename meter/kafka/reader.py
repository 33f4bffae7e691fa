"""Reading a topic from any offset to its present end, without a consumer group. Commits nothing."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.consumer import fetcher as client

from meter.kafka.fetched import KeptRecords
from schemas.delivery import READ_COMMITTED
from schemas.topics import MAX_RECORD_BYTES, Topic

client.MemoryRecords = KeptRecords
"""The client's reader of a fetch is replaced here as well: a command may read topics without the transport."""


@asynccontextmanager
async def _consumer(bootstrap: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",  # Where records before the start were deleted, those after them count.
        fetch_max_wait_ms=50,
        isolation_level=READ_COMMITTED,
        max_partition_fetch_bytes=MAX_RECORD_BYTES,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def records(
    bootstrap: str, topic: Topic, starts: Mapping[int, int] | None = None
) -> AsyncGenerator[ConsumerRecord, None]:
    """Yield the records of a topic, one partition after another, each up to its end at that time.

    `starts` maps partitions to offsets: then only these partitions are read, each from its offset. Without it all
    partitions are, from their oldest record on. Raises KafkaConnectionError where no broker answers.
    """
    async with _consumer(bootstrap) as consumer:
        await consumer._client._wait_on_metadata(topic.name)
        partitions = sorted(consumer.partitions_for_topic(topic.name) or ()) if starts is None else sorted(starts)
        for partition in partitions:
            tp = TopicPartition(topic.name, partition)
            consumer.assign([tp])
            if starts is None:
                await consumer.seek_to_beginning(tp)
            else:
                consumer.seek(tp, starts[partition])
            async for record in _to_the_end(consumer, tp):
                yield record


async def one(bootstrap: str, topic: Topic, partition: int, offset: int) -> ConsumerRecord | None:
    """Return the record at an offset, or None if none lies there any more."""
    tp = TopicPartition(topic.name, partition)
    async with _consumer(bootstrap) as consumer:
        await consumer._client._wait_on_metadata(topic.name)
        if partition not in (consumer.partitions_for_topic(topic.name) or ()):
            return None
        consumer.assign([tp])
        beginning, end = (await consumer.beginning_offsets([tp]))[tp], (await consumer.end_offsets([tp]))[tp]
        if not beginning <= offset < end:
            return None
        consumer.seek(tp, offset)
        async with aclosing(_to_the_end(consumer, tp)) as found:
            async for record in found:
                return record if record.offset == offset else None
    return None


async def first(bootstrap: str, topic: Topic, partition: int, start: int) -> ConsumerRecord | None:
    """Return the first record at or after offset `start`, which must not be deleted; None if there is none yet."""
    async with aclosing(records(bootstrap, topic, {partition: start})) as found:
        async for record in found:
            return record
    return None


async def _to_the_end(consumer: AIOKafkaConsumer, tp: TopicPartition) -> AsyncGenerator[ConsumerRecord, None]:
    """Yield committed records until the broker answers that there are no more, or none before an open transaction.

    The end offset is not compared: it may count offsets that are not records, such as transaction markers. A fetch of
    those alone moves the position, and more may follow.
    """
    while True:
        asked_at_ms, before = time.time() * 1000, await consumer.position(tp)
        fetched = await consumer.getmany(tp, timeout_ms=100)
        while not fetched and (consumer.last_poll_timestamp(tp) or 0) <= asked_at_ms:
            fetched = await consumer.getmany(tp, timeout_ms=100)
        fetched = fetched or await consumer.getmany(tp, timeout_ms=0)  # Records that came with the answer.
        if not fetched and await consumer.position(tp) == before:
            return
        for record in fetched.get(tp, ()):
            yield record


async def tail(bootstrap: str, topic: Topic, partition: int, count: int) -> AsyncIterator[ConsumerRecord]:
    """Yield about the last `count` records of a partition; fewer where offsets before its end are not records."""
    tp = TopicPartition(topic.name, partition)
    async with _consumer(bootstrap) as consumer:
        beginning = (await consumer.beginning_offsets([tp]))[tp]
        end = (await consumer.end_offsets([tp]))[tp]
        consumer.assign([tp])
        consumer.seek(tp, max(beginning, end - count))
        async for record in _to_the_end(consumer, tp):
            yield record
