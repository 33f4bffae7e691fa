"""A survey of Kafka before anything is written: the lives of the topics, their offsets, and the group."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError

from aggregator.core.holdings import Partition, Present
from aggregator.kafka.lives_request import LivesRequest
from schemas.topic_identity import uneven
from schemas.topic_lives import Cluster
from schemas.topics import (
    AGGREGATOR_GROUP,
    DEAD_LETTERS,
    EVENT_COUNTS,
    LEDGER,
    MAX_RECORD_BYTES,
    TOPICS,
    missing_topics,
    no_broker,
)

READ: Final = (LEDGER, DEAD_LETTERS, EVENT_COUNTS)
"""The topics that the aggregator reads."""


class KafkaUnusableError(Exception):
    """Kafka does not answer, or its topics cannot be used. The message is one sentence that says what to do."""


class TopicsUnevenError(KafkaUnusableError):
    """The topics have different numbers of partitions. Only an operator can change that."""


STOP_S: Final = 5.0
"""How long a client may take to stop."""


@contextmanager
def _in_one_sentence(bootstrap_servers: str) -> Iterator[None]:
    """Turn an error of the client into KafkaUnusableError. The client's own log is off meanwhile."""
    logger = logging.getLogger("aiokafka")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    except KafkaError:
        raise KafkaUnusableError(no_broker(bootstrap_servers)) from None
    finally:
        logger.setLevel(level)


@asynccontextmanager
async def _admin(bootstrap_servers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def consumer_of(bootstrap_servers: str, group: str | None) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that reads, and reads and commits offsets of `group` without joining it.

    With a group it must be assigned its partitions once: the client fails where that changes while it looks.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=50,
        max_partition_fetch_bytes=MAX_RECORD_BYTES,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await _stop(consumer)


async def _stop(consumer: AIOKafkaConsumer) -> None:
    """Stop a client, within STOP_S.

    The client cancels its tasks and waits for them. One that is cancelled in its first step, or while a fetch fails,
    ends the client's wait with a cancellation, or never ends. All commits are acknowledged before, so nothing is lost.
    """
    await asyncio.sleep(0)  # Each task of the client takes its first step.
    stopping = asyncio.create_task(consumer.stop())
    await asyncio.wait([stopping], timeout=STOP_S)
    if not stopping.cancel() and not stopping.cancelled():
        stopping.result()  # Raises the client's error, if there is one.


async def survey(bootstrap_servers: str) -> Present:
    """Ask Kafka what it has. Raises KafkaUnusableError, TopicsUnevenError where their partitions differ.

    The group's offsets come first, so that a ClickHouse that is read later is not older than they are.
    """
    with _in_one_sentence(bootstrap_servers):
        cluster = await _cluster(bootstrap_servers)
        partitions = [(life.name, number) for life in cluster.topics.values() for number in range(life.partitions)]
        async with consumer_of(bootstrap_servers, AGGREGATOR_GROUP) as consumer:
            committed = {each: await consumer.committed(TopicPartition(*each)) for each in partitions}
            beginnings = await consumer.beginning_offsets([TopicPartition(*each) for each in partitions])
            ends = await _ends(consumer, [TopicPartition(*each) for each in partitions])
    return Present(
        cluster,
        _plain(beginnings),
        _plain(ends),
        {each: offset for each, offset in committed.items() if offset is not None},
    )


async def _cluster(bootstrap_servers: str) -> Cluster:
    async with _admin(bootstrap_servers) as admin:
        answer = await admin._send_request(LivesRequest([topic.name for topic in TOPICS]))
    cluster: Cluster = answer.cluster
    if missing := missing_topics(READ, cluster.topics):
        raise KafkaUnusableError(missing)
    if reason := uneven({name: life.partitions for name, life in cluster.topics.items()}):
        raise TopicsUnevenError(reason)
    return Cluster(cluster.cluster_id, {topic.name: cluster.topics[topic.name] for topic in READ})


async def _ends(consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
    """Return the end of each partition, as a fetch there reports it.

    Asked for ends, the embedded broker answers too low where the last batch has several records. A fetch at that offset
    is answered with the true end.
    """
    ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
    consumer.assign(partitions)
    for tp, end in ends.items():
        consumer.seek(tp, end)
    for _ in range(20):
        await consumer.getmany(*partitions, timeout_ms=100)
        if all(consumer.highwater(tp) is not None for tp in partitions):
            break
    return {tp: max(end, consumer.highwater(tp) or 0) for tp, end in ends.items()}


def _plain(offsets: Mapping[TopicPartition, int]) -> dict[Partition, int]:
    return {(tp.topic, tp.partition): offset for tp, offset in offsets.items()}


async def members(bootstrap_servers: str) -> int:
    """How many workers are in the group now. Raises KafkaUnusableError."""
    with _in_one_sentence(bootstrap_servers):
        async with _admin(bootstrap_servers) as admin:
            for _ in range(20):
                try:
                    (answer,) = await admin.describe_consumer_groups([AGGREGATOR_GROUP])
                except GroupCoordinatorNotAvailableError:  # The first question makes Kafka create its own topic.
                    await asyncio.sleep(0.25)
                else:
                    return len(answer.groups[0][-1])
    raise KafkaUnusableError(
        f"Kafka at {bootstrap_servers} does not say whether workers run: wait until all its brokers are up"
    )
