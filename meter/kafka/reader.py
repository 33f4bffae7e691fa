"""Reading a topic without a consumer group: to its present end, or on and on. Commits nothing."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.consumer import fetcher as client

from meter.kafka.fetched import KeptRecords
from schemas.broker_answers import ANSWERS
from schemas.delivery import READ_COMMITTED
from schemas.topics import MAX_RECORD_BYTES, Topic

client.MemoryRecords = KeptRecords
"""The client's reader of a fetch is replaced here as well: a command may read topics without the transport."""


FOLLOW_MS: Final = 1_000
"""How long `follow` waits for records before it reports that there are none."""


class Followed(NamedTuple):
    """The records that came next, and whether each partition has been read to the end that it had at some time."""

    records: list[ConsumerRecord]
    is_caught_up: bool


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


async def follow(bootstrap: str, topic: Topic, *, from_end: bool = False) -> AsyncGenerator[Followed, None]:
    """Yield the records of all partitions as they come, for ever; at least every FOLLOW_MS, also without records.

    It begins at the oldest records, or with `from_end` at about the newest: the embedded broker may repeat a few.
    Outages of the broker only delay it. The partitions are those that the topic has at the beginning. Notes each answer
    of a broker in ANSWERS. Raises KafkaConnectionError where no broker answers at the beginning.
    """
    async with _consumer(bootstrap) as consumer:
        await consumer._client._wait_on_metadata(topic.name)
        ahead = {TopicPartition(topic.name, each) for each in consumer.partitions_for_topic(topic.name) or ()}
        every = tuple(ahead)
        consumer.assign(every)
        await (consumer.seek_to_end(*every) if from_end else consumer.seek_to_beginning(*every))
        answered_ms = 0
        while True:
            fetched = await consumer.getmany(timeout_ms=FOLLOW_MS)
            newest_ms = max((consumer.last_poll_timestamp(tp) or 0 for tp in every), default=0)
            if newest_ms > answered_ms:
                answered_ms = newest_ms
                ANSWERS.note()
            ahead = {tp for tp in ahead if not await _has_reached_end(consumer, tp)}
            yield Followed([record for part in fetched.values() for record in part], not ahead)


async def _has_reached_end(consumer: AIOKafkaConsumer, tp: TopicPartition) -> bool:
    """Whether all is read up to the end that came with the newest fetch. The end asked for alone may be wrong."""
    end = consumer.highwater(tp)
    return end is not None and await consumer.position(tp) >= end


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
