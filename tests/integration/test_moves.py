"""A client with its own partitioner and its own keys is billed like one that keys by workspace."""

import asyncio
import json
import time
import zlib
from itertools import count
from pathlib import Path

import pytest

from meter.kafka.home import home_of
from meter.kafka.reader import records
from meter.kafka.records import Record
from meter.kafka.topics import KafkaTopics, delivered
from schemas.events import encode_tick
from schemas.moves import MOVED_FROM
from schemas.topics import ACCOUNT_COMMANDS, CHAT_EVENTS, WALLET_INPUTS, Topic
from tests.brokers import Broker
from tests.feeds.lines import DAY_MS, MINUTE_MS, chat_data, envelope, line
from tests.integration.outcome import assert_exact
from tests.integration.processes import DRAIN_S, deployed, eventually

pytestmark = pytest.mark.integration

START_MS = int(time.time() * 1000) // DAY_MS * DAY_MS - 2 * DAY_MS
WORKSPACES = tuple(f"ws-{number}" for number in range(12))
PARTITIONS = 4
MESSAGES = 8
"""Of each conversation, one every minute."""

Written = list[tuple[Topic, bytes | None, bytes]]
"""Topic, key, value."""


def commands() -> Written:
    """Each workspace is created and buys $100, keyed by workspace: on account-commands, or on wallet-inputs."""
    written: Written = []
    for number, name in enumerate(WORKSPACES):
        bought = {"workspace_id": name, "order_id": "o", "amount_micros": 100_000_000, "method": "card"}
        created = {"workspace_id": name, "plan": "standard", "free_grant_micros": 500_000}
        topic = (ACCOUNT_COMMANDS, WALLET_INPUTS)[number % 2]
        told = (("workspace.created", created), ("credits.purchased", bought))
        for kind, data in told:
            value = line(envelope(f"billing.{kind}", START_MS, f"{name}-{kind}", "/console", data))
            written.append((topic, name.encode(), value))
    return written


def events() -> Written:
    """One conversation in each workspace; a third has no key, a third is keyed by user, a third by workspace."""
    return [
        (CHAT_EVENTS, (None, b"user-%d" % number, name.encode())[number % 3], line(said))
        for at in range(MESSAGES)
        for number, name in enumerate(WORKSPACES)
        for data in [chat_data(name, "bot", "web", "user", ("user", "bot")[at % 2])]
        for said in [envelope("chat.message", START_MS + at * MINUTE_MS, f"{name}-{at}", "/runtime", data)]
    ]


def partitions(written: Written) -> list[int]:
    """Where librdkafka puts them: by CRC32 of the key; without a key one after another."""
    turn = count()
    return [(zlib.crc32(key) if key else next(turn)) % PARTITIONS for _, key, _ in written]


def misplaced(written: Written) -> int:
    """How many of them have to be moved."""
    homes = [home_of(json.loads(value)["data"]["workspace_id"], PARTITIONS) for _, _, value in written]
    found = zip(written, partitions(written), homes, strict=True)
    return sum(topic == ACCOUNT_COMMANDS or partition != home for (topic, _, _), partition, home in found)


async def write(broker: Broker, written: Written) -> None:
    """Append them there, in order."""
    log = KafkaTopics(broker.bootstrap, idempotent=broker.idempotent)
    await log.start()
    try:
        for (topic, key, value), partition in zip(written, partitions(written), strict=True):
            await delivered(await log.append(topic.name, partition, [Record(key, value)]))
    finally:
        await log.stop()


async def close(broker: Broker) -> None:
    """Say in every partition that the events have ended."""
    log = KafkaTopics(broker.bootstrap, idempotent=broker.idempotent)
    await log.start()
    try:
        for partition in range(await log.partitions(CHAT_EVENTS.name)):
            await log.write(CHAT_EVENTS.name, partition, [Record(None, encode_tick(START_MS + DAY_MS, final=True))])
    finally:
        await log.stop()


async def moved(broker: Broker, topic: Topic) -> int:
    """How many records of a topic were moved to where they lie."""
    return len([each async for each in records(broker.bootstrap, topic) if MOVED_FROM in dict(each.headers)])


def test_foreign_keys_and_partitioners_are_billed_alike(broker: Broker, tmp_path: Path) -> None:
    """Commands and events, through a worker that is killed meanwhile: exact, and one wallet for each workspace."""
    with deployed(broker, tmp_path, KAFKA_PARTITIONS=str(PARTITIONS)) as deployment:
        worker = deployment.start("meter")
        deployment.start("aggregator").ready()
        asyncio.run(write(broker, commands()))
        told = misplaced(commands())
        eventually("all commands are moved", lambda: worker.count("meter_moved_total") >= told, 60)
        asyncio.run(write(broker, events()))
        eventually("events are moved", lambda: worker.count("meter_moved_total") > told, 60)
        deployment.restart(worker).ready()
        deployment.do("meter", "drained", "--timeout", str(DRAIN_S))
        asyncio.run(close(broker))
        deployment.drain()
        assert told > len(WORKSPACES)
        assert asyncio.run(moved(broker, WALLET_INPUTS)) >= told
        assert asyncio.run(moved(broker, CHAT_EVENTS)) >= misplaced(events()) > len(events()) // 4
    outcome = assert_exact(tmp_path, [value for _, _, value in [*commands(), *events()]], in_order=False)
    assert [row["messages"] for row in outcome.conversations] == [MESSAGES] * len(WORKSPACES)
