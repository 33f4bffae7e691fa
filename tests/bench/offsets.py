"""Where topics end and what groups have committed, and topics made anew: Kafka's side of a run."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import GroupCoordinatorNotAvailableError, GroupIdNotFound
from aiokafka.protocol.admin import DeleteGroupsRequest

from meter.kafka.admin import create_topics
from schemas.topics import CHAT_EVENTS, METER_GROUP, TOPICS
from tests.bench.task import PARTITIONS

CLEAN_S: Final = 60.0


def ends(bootstrap: str, topic: str) -> dict[int, int]:
    """Of each partition the offset after its last record."""
    return asyncio.run(_ends(bootstrap, topic))


def uncommitted(bootstrap: str, group: str, topic: str) -> int:
    """How many records of a topic its group has not committed."""
    return asyncio.run(_uncommitted(bootstrap, group, topic))


def renew(bootstrap: str) -> None:
    """Make all of the product's topics anew but that of the events, and forget its group's offsets."""
    asyncio.run(_renew(bootstrap))


def make(bootstrap: str, topic: str) -> None:
    """Make a topic with the broker's defaults."""
    asyncio.run(_make(bootstrap, topic))


def remove(bootstrap: str, prefix: str) -> None:
    """Delete the topics whose names contain `prefix`: what a contender has made for itself."""
    asyncio.run(_remove(bootstrap, prefix))


async def _ends(bootstrap: str, topic: str) -> dict[int, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        found = await consumer.end_offsets([TopicPartition(topic, number) for number in range(PARTITIONS)])
    finally:
        await consumer.stop()
    return {place.partition: int(offset) for place, offset in found.items()}


async def _uncommitted(bootstrap: str, group: str, topic: str) -> int:
    async with _admin(bootstrap) as admin:
        offsets = await admin.list_consumer_group_offsets(group)
    committed = {place.partition: entry.offset for place, entry in offsets.items() if place.topic == topic}
    return sum(
        max(0, end - max(0, committed.get(number, 0))) for number, end in (await _ends(bootstrap, topic)).items()
    )


async def _renew(bootstrap: str) -> None:
    names = {topic.name for topic in TOPICS} - {CHAT_EVENTS.name}
    await _delete(bootstrap, names)
    await create_topics(bootstrap, PARTITIONS, 1)
    async with _admin(bootstrap) as admin, asyncio.timeout(CLEAN_S):
        while not await _is_forgotten(admin, METER_GROUP):  # noqa: ASYNC110 - a dead member is let go in time.
            await asyncio.sleep(0.2)


async def _is_forgotten(admin: AIOKafkaAdminClient, group: str) -> bool:
    """Delete a group with its offsets. False while it still has members, or Kafka is not ready to say."""
    try:
        coordinator = await admin.find_coordinator(group)
    except GroupCoordinatorNotAvailableError:
        return False
    response = await admin._send_request(DeleteGroupsRequest([group]), coordinator)
    return all(code in (0, GroupIdNotFound.errno) for _, code in response.results)


async def _make(bootstrap: str, topic: str) -> None:
    async with _admin(bootstrap) as admin:
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])


async def _remove(bootstrap: str, prefix: str) -> None:
    async with _admin(bootstrap) as admin:
        found = [name for name in await admin.list_topics() if prefix in name]
    await _delete(bootstrap, found)


async def _delete(bootstrap: str, names: Iterable[str]) -> None:
    wanted = set(names)
    async with _admin(bootstrap) as admin, asyncio.timeout(CLEAN_S):
        await admin.delete_topics(sorted(wanted & set(await admin.list_topics())))
        while wanted & set(await admin.list_topics()):  # noqa: ASYNC110 - Kafka has no other way to say so.
            await asyncio.sleep(0.1)


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()
