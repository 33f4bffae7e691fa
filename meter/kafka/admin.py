"""Topics, and whether everything written to them has been dealt with."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, for_code

from schemas.topics import CHAT_EVENTS, DEAD_LETTERS, LEDGER, TALLIES, TOPICS, WALLET_INPUTS, Topic

_ALREADY_EXISTS: Final = 36

# In the order of the data's way: once a topic is drained, all that it causes is in the next.
_CHAIN: Final = (CHAT_EVENTS, WALLET_INPUTS, LEDGER, DEAD_LETTERS, TALLIES)


class BrokerAwayError(Exception):
    """No broker answers; the message says where it was sought and what to do."""


class TopicsMissingError(Exception):
    """The topics have not been created; the message says how."""


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        yield admin
    except KafkaConnectionError as error:
        raise broker_away(bootstrap) from error
    finally:
        await admin.close()


def broker_away(bootstrap: str) -> BrokerAwayError:
    """The sentence for a broker that does not answer."""
    return BrokerAwayError(f"no Kafka broker answers at {bootstrap}: start it, or set KAFKA_BOOTSTRAP_SERVERS")


async def create_topics(bootstrap: str, partitions: int, replication: int) -> list[tuple[Topic, bool]]:
    """Create what is missing of the table of topics; (topic, whether it was created) for each."""
    async with _admin(bootstrap) as admin:
        wanted = [NewTopic(topic.name, partitions, replication, topic_configs=topic.config) for topic in TOPICS]
        response = await admin.create_topics(wanted)
    codes = {error[0]: error[1] for error in response.topic_errors}
    for name, code in codes.items():
        if code not in (0, _ALREADY_EXISTS):
            raise for_code(code)(f"topic {name} could not be created")
    return [(topic, codes[topic.name] == 0) for topic in TOPICS]


async def require_topics(bootstrap: str) -> None:
    """Raises BrokerAwayError or TopicsMissingError unless all topics are there."""
    async with _admin(bootstrap) as admin:
        there = set(await admin.list_topics())
    missing = [topic.name for topic in TOPICS if topic.name not in there]
    if missing:
        raise TopicsMissingError(f"the topics {', '.join(missing)} do not exist: run `python -m meter topics` first")


async def wait_drained(bootstrap: str, timeout_s: float, on_wait: Callable[[str, int], None]) -> bool:
    """Whether all that was written has reached ClickHouse within `timeout_s`; judged by the groups' committed offsets.

    `on_wait(topic, partitions)` hears how many partitions of which topic are still being worked on.
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
        max_partition_fetch_bytes=1,  # A broker answers with a whole batch all the same; whether there is one matters.
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
    """Those partitions that hold a record which their group has not committed.

    Asked by reading on from the committed offset, because the end of the log may count what nobody can read, such as
    transaction marks. Of several partitions in one fetch a broker may leave some out although they hold records: where
    the log goes on but nothing came, the partition is asked alone.
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
    """Wait for the broker's answer to a fetch of each partition; those for which it held records."""
    with_records: set[TopicPartition] = set()
    unanswered = set(partitions)
    asked_at_ms = time.time() * 1000
    while unanswered:
        with_records |= set(await consumer.getmany(*unanswered, timeout_ms=100))
        answered = {tp for tp in unanswered if (consumer.last_poll_timestamp(tp) or 0) > asked_at_ms}
        with_records |= set(await consumer.getmany(*unanswered, timeout_ms=0))  # What the answers brought.
        unanswered -= answered | with_records
    return with_records
