"""Waiting until everything that was written to Kafka has reached ClickHouse."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from meter.kafka.admin import require_topics
from schemas.delivery import READ_COMMITTED
from schemas.topics import (
    ACCOUNT_COMMANDS,
    CHAT_EVENTS,
    DEAD_LETTERS,
    EVENT_COUNTS,
    LEDGER,
    PAYMENT_REQUESTS,
    WALLET_INPUTS,
    Topic,
)

# In the order in which data flows: once a topic is drained, all records that it causes are in the next ones. A
# misplaced record moves within its topic, at most once. So such a topic is drained when it was found drained twice.
_CHAIN: Final = (
    *(ACCOUNT_COMMANDS, CHAT_EVENTS, CHAT_EVENTS, WALLET_INPUTS, WALLET_INPUTS),
    *(LEDGER, DEAD_LETTERS, EVENT_COUNTS),
)
_UNTIL_CHARGED: Final = _CHAIN.index(LEDGER)


async def wait_drained(
    bootstrap: str, timeout_s: float, on_wait: Callable[[str, int], None], *, with_payments: bool = False
) -> bool:
    """Wait until every topic is drained. Returns False if that takes longer than `timeout_s` seconds.

    `with_payments` waits for the answers to payment requests too, and for what they cause. A payments worker must run.

    A topic is drained when its consumer group has committed every record. `on_wait(topic, partitions)` is called at
    each look with the topic that is waited for and how many of its partitions are not drained. Raises BrokerAwayError
    or TopicsMissingError.
    """
    await require_topics(bootstrap)
    try:
        async with asyncio.timeout(timeout_s):
            for topic in _CHAIN[:_UNTIL_CHARGED]:
                await _wait_topic(bootstrap, topic, on_wait)
            if with_payments:
                await _wait_payments(bootstrap, on_wait)
            for topic in _CHAIN[_UNTIL_CHARGED:]:
                await _wait_topic(bootstrap, topic, on_wait)
    except TimeoutError:
        return False
    return True


async def _wait_payments(bootstrap: str, on_wait: Callable[[str, int], None]) -> None:
    """Wait until no payment request is unanswered, and no answer uncharged. An answer may cause the next request.

    A worker commits a request when its answer is on wallet-inputs. So nothing is under way if wallet-inputs was drained
    after the requests were, and no request has come since.
    """
    answered: dict[TopicPartition, int] | None = None
    while True:
        ends = await _wait_topic(bootstrap, PAYMENT_REQUESTS, on_wait)
        if ends == answered:
            return
        answered = ends
        await _wait_topic(bootstrap, WALLET_INPUTS, on_wait)


async def _wait_topic(bootstrap: str, topic: Topic, on_wait: Callable[[str, int], None]) -> dict[TopicPartition, int]:
    """Wait until the topic's group has committed every record. Returns the ends of its partitions."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=topic.reader,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
        isolation_level=READ_COMMITTED,
        max_partition_fetch_bytes=1,  # A broker sends a whole batch even so; only the end matters.
    )
    await consumer.start()
    try:
        await consumer._client._wait_on_metadata(topic.name)
        every = {TopicPartition(topic.name, number) for number in consumer.partitions_for_topic(topic.name) or ()}
        ends: dict[TopicPartition, int] = {}
        pending = every
        while pending:
            on_wait(topic.name, len(pending))
            pending = await _unread(consumer, pending, ends)
        return ends
    finally:
        await consumer.stop()


async def _unread(
    consumer: AIOKafkaConsumer, partitions: set[TopicPartition], ends: dict[TopicPartition, int]
) -> set[TopicPartition]:
    """Return the partitions whose group has not committed the end. Puts the ends into `ends`.

    A reader commits transaction markers and aborted records too, so it is enough to compare with the end. An open
    transaction keeps a partition unread: its records, and those that others wrote behind it, may still count. The end
    comes with a fetch, because the embedded broker answers a question for it wrongly.
    """
    consumer.assign(partitions)
    for tp in partitions:
        committed = await consumer.committed(tp)
        if committed is None:
            await consumer.seek_to_beginning(tp)
        else:
            consumer.seek(tp, committed)
    started_at = {tp: await consumer.position(tp) for tp in partitions}
    await _answered(consumer, partitions)
    ends |= {tp: consumer.highwater(tp) for tp in partitions}
    return {tp for tp in partitions if ends[tp] > started_at[tp]}


async def _answered(consumer: AIOKafkaConsumer, partitions: set[TopicPartition]) -> None:
    """Wait until the broker has answered a fetch of each partition."""
    unanswered, asked_at_ms = set(partitions), time.time() * 1000
    while unanswered:
        await consumer.getmany(*unanswered, timeout_ms=100)
        unanswered = {tp for tp in unanswered if (consumer.last_poll_timestamp(tp) or 0) <= asked_at_ms}
