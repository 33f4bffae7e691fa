"""The worker as a process: real broker, real engine, kill -9."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from aggregator.clickhouse.client import ClickHouse
from aggregator.clickhouse.migrate import apply
from schemas.dead_letters import DeadLetter
from schemas.ledger import LedgerUpdate, encode_ledger_update
from schemas.topics import AGGREGATOR_GROUP, DEAD_LETTERS, EVENT_COUNTS, LEDGER
from tests.aggregator.facts import DAY, PRICE_MICROS, conversation, entry, update, usage
from tests.brokers import EMBEDDED, KAFKA, Broker, available_brokers, running_broker, why_no_kafka

pytestmark = pytest.mark.integration

PARTITIONS = 4
WORKSPACES = 8
VERSIONS = 150
TIMEOUT_S = 60


@pytest.fixture(params=[EMBEDDED, KAFKA])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    if request.param not in available_brokers():
        pytest.skip(why_no_kafka() or "")
    with running_broker(request.param, tmp_path) as running:
        if running.bootstrap == os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
            pytest.skip("the worker's topics on somebody else's broker are not for tests")
        asyncio.run(create_topics(running.bootstrap))
        yield running


@pytest.fixture
def migrated(dsn: str) -> str:
    with ClickHouse(dsn) as clickhouse:
        apply(clickhouse)
    return dsn


def test_worker_killed_in_the_middle_ends_at_the_same_result(broker: Broker, migrated: str) -> None:
    """Kill -9 repeats rows at most: after a restart every view holds exactly what the topics hold."""
    with worker(broker, migrated) as first:
        ready(first)
        produced = asyncio.run(produce_and_kill(broker, first))
    with worker(broker, migrated) as second:
        ready(second)
        asyncio.run(committed(broker, produced))
        second.send_signal(signal.SIGTERM)
        assert second.wait(TIMEOUT_S) == 0
    entries = WORKSPACES * VERSIONS
    with ClickHouse(migrated) as clickhouse:
        assert clickhouse.query("SELECT count(), uniqExact(workspace_id, seq), sum(amount_micros) FROM ledger") == [
            (entries, entries, -entries * PRICE_MICROS)
        ]
        assert clickhouse.query("SELECT count(), sum(requests) FROM conversations") == [(entries, entries)]
        assert clickhouse.query("SELECT sum(conversations) FROM usage_monthly") == [(entries,)]
        assert clickhouse.query("SELECT sum(free_micros) FROM balances") == [(-entries * PRICE_MICROS,)]
        assert clickhouse.query("SELECT count(), countIf(payload IS NULL) FROM dead_letters") == [(100, 10)]


def test_record_that_is_no_ledger_update_ends_the_worker(broker: Broker, migrated: str) -> None:
    """A bug is not swallowed: the process ends with an error, and the offset stays before the record."""
    with worker(broker, migrated) as process:
        asyncio.run(send(broker, LEDGER.name, b"junk"))
        assert process.wait(TIMEOUT_S) != 0
    assert asyncio.run(offsets(broker)) == 0


def history() -> list[tuple[int, LedgerUpdate]]:
    """(partition, update): a charge a version, and the absolute facts that follow from it."""
    return [
        (
            workspace % PARTITIONS,
            update(
                version,
                workspace_id=f"workspace-{workspace}",
                entries=[entry(version + 1)],
                conversations=[conversation(version + 1)],
                usage=[usage(DAY, version + 1)],
                free_micros=-(version + 1) * PRICE_MICROS,
            ),
        )
        for version in range(VERSIONS)
        for workspace in range(WORKSPACES)
    ]


def letters() -> list[DeadLetter]:
    return [
        DeadLetter("malformed", "value: not JSON", "chat-events", 0, at, None, b"\xff" if at % 10 else None)
        for at in range(100)
    ]


@contextmanager
def worker(broker: Broker, dsn: str) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        "CLICKHOUSE_DSN": dsn,
        "KAFKA_SESSION_TIMEOUT_S": "2",
        "AGGREGATOR_FLUSH_MS": "50",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "aggregator", "worker"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout
    assert process.stdout.readline().startswith("aggregator ready, metrics at http://")


async def produce_and_kill(broker: Broker, process: subprocess.Popen[str]) -> int:
    """Kills the process once it has committed something and while more arrives; returns how many records there are."""
    producing = asyncio.create_task(produce(broker, history(), letters()))
    await committed(broker, 1)
    process.kill()
    return await producing


async def create_topics(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        names = {topic.name for topic in (LEDGER, DEAD_LETTERS, EVENT_COUNTS)}
        await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
        await until_listed(admin, names.issubset)
    finally:
        await admin.close()


async def until_listed(admin: AIOKafkaAdminClient, is_as_wanted: Callable[[set[str]], bool]) -> None:
    """Wait for the broker's list of topics: Kafka answers a creation before its brokers have learned of it."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while not is_as_wanted(found := set(await admin.list_topics())):
        assert time.monotonic() < deadline_s, f"after {TIMEOUT_S} s the broker still lists {found}"
        await asyncio.sleep(0.05)


async def produce(broker: Broker, updates: list[tuple[int, LedgerUpdate]], refused: list[DeadLetter]) -> int:
    """Returns how many records were written."""
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap, enable_idempotence=broker.idempotent) as producer:
        sent = [await producer.send(LEDGER.name, encode_ledger_update(stated), partition=at) for at, stated in updates]
        sent += [
            await producer.send(DEAD_LETTERS.name, it.value or b"", headers=it.headers(), partition=0) for it in refused
        ]
        await asyncio.gather(*sent)
    return len(sent)


async def send(broker: Broker, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap, enable_idempotence=broker.idempotent) as producer:
        await producer.send_and_wait(topic, value, partition=0)


async def committed(broker: Broker, records: int) -> None:
    """Returns once the group has committed so many records."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while (at := await offsets(broker)) < records:
        assert time.monotonic() < deadline_s, f"{at} of {records} records committed after {TIMEOUT_S} s"
        await asyncio.sleep(0.1)


async def offsets(broker: Broker) -> int:
    """The group's committed offsets, added up over all partitions."""
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=AGGREGATOR_GROUP, enable_auto_commit=False)
    async with consumer:
        places = [
            TopicPartition(topic.name, at) for topic in (LEDGER, DEAD_LETTERS, EVENT_COUNTS) for at in range(PARTITIONS)
        ]
        return sum([await consumer.committed(place) or 0 for place in places])
