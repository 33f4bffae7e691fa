"""Waiting until everything that was written to Kafka has reached ClickHouse."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from meter.kafka.admin import require_topics
from schemas.topics import (
    ACCOUNT_COMMANDS,
    CHAT_EVENTS,
    DEAD_LETTERS,
    EVENT_COUNTS,
    LEDGER,
    WALLET_INPUTS,
    Topic,
)

# In the order in which data flows: once a topic is drained, all records that it causes are in the next ones. A
# misplaced record moves within its topic, at most once. So such a topic is drained when it was found drained twice.
_CHAIN: Final = (
    *(ACCOUNT_COMMANDS, CHAT_EVENTS, CHAT_EVENTS, WALLET_INPUTS, WALLET_INPUTS),
    *(LEDGER, DEAD_LETTERS, EVENT_COUNTS),
)


async def wait_drained(bootstrap: str, timeout_s: float, on_wait: Callable[[str, int], None]) -> bool:
    """Wait until every topic is drained. Returns False if that takes longer than `timeout_s` seconds.

    A topic is drained when its consumer group has committed every record. `on_wait(topic, partitions)` is called at
    each look with the topic that is waited for and how many of its partitions are not drained. Raises BrokerAwayError
    or TopicsMissingError.
    """
    await require_topics(bootstrap)
    try:
        async with asyncio.timeout(timeout_s):
            for topic in _CHAIN:
                await _wait_topic(bootstrap, topic, on_wait)
    except TimeoutError:
        return False
    return True


async def _wait_topic(bootstrap: str, topic: Topic, on_wait: Callable[[str, int], None]) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=topic.reader,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
        max_partition_fetch_bytes=1,  # A broker sends a whole batch even so; only whether there is one matters.
    )
    await consumer.start()
    try:
        await consumer._client._wait_on_metadata(topic.name)
        pending = {TopicPartition(topic.name, number) for number in consumer.partitions_for_topic(topic.name) or ()}
        while pending:
            on_wait(topic.name, len(pending))
            pending = await _unread(consumer, pending)
    finally:
        await consumer.stop()


async def _unread(consumer: AIOKafkaConsumer, partitions: set[TopicPartition]) -> set[TopicPartition]:
    """Return the partitions that have a record which their group has not committed.

    It is found by reading from the committed offset on: the end offset may count offsets that are not records, such as
    transaction markers. In one fetch of several partitions a broker may leave some out although they have records. So
    where nothing came although the log goes on, the partition is asked alone.
    """
    consumer.assign(partitions)
    for tp in partitions:
        committed = await consumer.committed(tp)
        if committed is None:
            await consumer.seek_to_beginning(tp)
        else:
            consumer.seek(tp, committed)
    started_at = {tp: await consumer.position(tp) for tp in partitions}
    unread = await _answered_with_records(consumer, partitions)
    if len(partitions) > 1:
        doubtful = {tp for tp in partitions - unread if consumer.highwater(tp) > started_at[tp]}
        for tp in doubtful:
            unread |= await _unread(consumer, {tp})
    return unread


async def _answered_with_records(consumer: AIOKafkaConsumer, partitions: set[TopicPartition]) -> set[TopicPartition]:
    """Wait until the broker has answered a fetch of each partition. Returns those for which it sent records."""
    with_records: set[TopicPartition] = set()
    unanswered = set(partitions)
    asked_at_ms = time.time() * 1000
    while unanswered:
        with_records |= set(await consumer.getmany(*unanswered, timeout_ms=100))
        answered = {tp for tp in unanswered if (consumer.last_poll_timestamp(tp) or 0) > asked_at_ms}
        with_records |= set(await consumer.getmany(*unanswered, timeout_ms=0))  # Records that came with the answers.
        unanswered -= answered | with_records
    return with_records
