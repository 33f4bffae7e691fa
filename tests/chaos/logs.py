"""Kafka's side of a round: fresh topics before it, what they hold after it."""

import asyncio
import base64
import json
import time
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from meter.kafka.admin import create_topics
from schemas.delivery import READ_COMMITTED
from schemas.topics import AGGREGATOR_GROUP, DEAD_LETTERS, LEDGER, METER_GROUP, TOPICS

PARTITIONS: Final = 4
CLEAN_S: Final = 30.0

Record = Any
"""A consumer's record: topic, partition, offset, key, value."""


async def renew(bootstrap: str) -> None:
    """Empty topics, and no offset of an earlier round. Raises TimeoutError when Kafka does not let go of those."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        names = {topic.name for topic in TOPICS}
        await admin.delete_topics(list(names & set(await admin.list_topics())))
        async with asyncio.timeout(CLEAN_S):
            while names & set(await admin.list_topics()) or await _has_offsets(admin):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            while names:
                names -= {topic.name for topic, created in await create_topics(bootstrap, PARTITIONS, 1) if created}
    finally:
        await admin.close()


async def _has_offsets(admin: AIOKafkaAdminClient) -> bool:
    for group in (METER_GROUP, AGGREGATOR_GROUP):
        try:
            offsets = await admin.list_consumer_group_offsets(group)
        except GroupCoordinatorNotAvailableError:
            return True  # A broker that has just started; it will know in a moment.
        if any(place.offset >= 0 for place in offsets.values()):
            return True
    return False


async def committed(bootstrap: str, group: str, topic: str) -> dict[int, int]:
    """The group's offset of each partition, 0 where it has none."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False) as consumer:
        return {place.partition: await consumer.committed(place) or 0 for place in await _places(consumer, topic)}


async def _places(consumer: AIOKafkaConsumer, *topics: str) -> list[TopicPartition]:
    places = []
    for topic in topics:
        await consumer._client._wait_on_metadata(topic)
        places += [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
    return places


async def read_all(bootstrap: str, topic: str) -> list[Record]:
    """Every committed record of a topic to which no process writes any more."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        fetch_max_wait_ms=50,
        isolation_level=READ_COMMITTED,
    )
    await consumer.start()
    try:
        places = await _places(consumer, topic)
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        records: list[Record] = []
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for fetched in (await consumer.getmany(timeout_ms=200)).values():
                records += fetched
        return records
    finally:
        await consumer.stop()


async def wait_aggregated(bootstrap: str, timeout_s: float) -> bool:
    """Whether the aggregators' group has committed all that the stopped meters wrote, within `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    async with AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=AGGREGATOR_GROUP, enable_auto_commit=False
    ) as consumer:
        places = await _places(consumer, LEDGER.name, DEAD_LETTERS.name)
        ends = await consumer.end_offsets(places)
        while any([(await consumer.committed(place) or 0) < end for place, end in ends.items()]):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.1)
    return True


async def keep(bootstrap: str, directory: Path) -> None:
    """Write what all topics hold to files, one JSON object a record, for whoever looks for the cause."""
    for topic in TOPICS:
        with (directory / f"{topic.name}.ndjson").open("w") as file:
            for record in await read_all(bootstrap, topic.name):
                file.write(json.dumps(_shown(record)) + "\n")


def _shown(record: Record) -> dict[str, object]:
    return {
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "headers": {name: value.decode("utf-8", "replace") for name, value in record.headers},
        "key": _text(record.key),
        "value": _text(record.value),
    }


def _text(value: bytes | None) -> str | None:
    """Text where it is text, else `base64:` and the bytes."""
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(value).decode()
