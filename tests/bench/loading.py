"""Writes a feed to its topic as fast as the broker takes it."""

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from meter.kafka.admin import create_topics
from schemas.topics import CHAT_EVENTS
from tests.bench.feed import Feed
from tests.bench.task import PARTITIONS

BATCH_BYTES: Final = 64 * 1024
"""A record batch's size, as of a runtime that is busy; no compression."""

STEP: Final = 10_000


def load(bootstrap: str, feed: Feed, advance: Callable[[int], None]) -> None:
    """Create the product's topics and write the feed to chat-events; `advance` hears how many more are written."""
    asyncio.run(_load(bootstrap, feed, advance))


async def _load(bootstrap: str, feed: Feed, advance: Callable[[int], None]) -> None:
    await create_topics(bootstrap, PARTITIONS, 1)
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, max_batch_size=BATCH_BYTES
    )
    await producer.start()
    try:
        await _write(producer, feed, advance)
    finally:
        await producer.stop()


async def _write(producer: AIOKafkaProducer, feed: Feed, advance: Callable[[int], None]) -> None:
    partitions = list(range(PARTITIONS))
    choose = DefaultPartitioner()
    partition_of: dict[bytes, int] = {}
    batches: list[Any] = [producer.create_batch() for _ in partitions]
    last: dict[int, Any] = {}
    events = iter(feed)
    while step := list(islice(events, STEP)):
        for key, value in step:
            number = partition_of.get(key)
            if number is None:
                number = partition_of[key] = choose(key, partitions, partitions)
            if batches[number].append(timestamp=None, key=key, value=value, headers=[]) is None:
                last[number] = await producer.send_batch(batches[number], CHAT_EVENTS.name, partition=number)
                batches[number] = producer.create_batch()
                batches[number].append(timestamp=None, key=key, value=value, headers=[])
        advance(len(step))
    for number in partitions:
        if batches[number].record_count():
            last[number] = await producer.send_batch(batches[number], CHAT_EVENTS.name, partition=number)
    for delivery in last.values():
        await delivery
