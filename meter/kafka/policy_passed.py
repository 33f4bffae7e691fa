"""Waiting until both stages have passed a version of the policy in every partition."""

import asyncio

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from meter.kafka.reader import records
from schemas.policy import decode_policy
from schemas.topics import CHAT_EVENTS, METER_GROUP, WALLET_INPUTS, Topic

_LOOK_S = 0.2


async def wait_passed(bootstrap: str, version: int, offsets: dict[int, int], timeout_s: float) -> bool:
    """Wait until both stages have saved a state under `version` or a later one. Returns False after `timeout_s` s.

    `offsets` is where the version was written in each partition of chat-events. A sessionizer that has passed it has
    written the version to wallet-inputs, where the charger has to pass it too.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=METER_GROUP, enable_auto_commit=False)
    await consumer.start()
    try:
        async with asyncio.timeout(timeout_s):
            await _wait_committed(consumer, CHAT_EVENTS, offsets)
            ahead = {number: await _still_ahead(bootstrap, consumer, number, version) for number in offsets}
            found = {number: offset for number, offset in ahead.items() if offset is not None}
            await _wait_committed(consumer, WALLET_INPUTS, found)
    except TimeoutError:
        return False
    finally:
        await consumer.stop()
    return True


async def _wait_committed(consumer: AIOKafkaConsumer, topic: Topic, offsets: dict[int, int]) -> None:
    for number, offset in offsets.items():
        while await _committed(consumer, topic, number) <= offset:  # noqa: ASYNC110 - Kafka has no other way to say so.
            await asyncio.sleep(_LOOK_S)


async def _committed(consumer: AIOKafkaConsumer, topic: Topic, partition: int) -> int:
    return await consumer.committed(TopicPartition(topic.name, partition)) or 0


async def _still_ahead(bootstrap: str, consumer: AIOKafkaConsumer, partition: int, version: int) -> int | None:
    """The offset of the version in wallet-inputs, if the charger has not passed it yet; None if it has."""
    start = await _committed(consumer, WALLET_INPUTS, partition)
    async for record in records(bootstrap, WALLET_INPUTS, {partition: start}):
        if _version_of(record.value) >= version:
            return int(record.offset)
    return None


def _version_of(value: bytes | None) -> int:
    """The version of a policy record; 0 for any other record."""
    try:
        return decode_policy(value or b"").version
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return 0
