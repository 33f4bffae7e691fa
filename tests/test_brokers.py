"""Every broker the suite runs on gives the meter what it builds on; what one cannot give is stated in its Broker."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from meter.local.broker import EmbeddedBroker, EmbeddedBrokerError, cluster_at, free_port
from tests.brokers import EMBEDDED, KAFKA, Broker, available_brokers, running_broker, why_no_kafka
from tests.kafka import local_kafka
from tests.kafka.local_kafka import LocalKafka

pytestmark = pytest.mark.integration

MAX_BYTES = 33_554_432
LARGE = bytes(10 * 1024 * 1024)


@pytest.fixture(scope="module", params=[EMBEDDED, KAFKA])
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    if request.param not in available_brokers():
        pytest.skip(why_no_kafka() or "")
    with running_broker(request.param, tmp_path_factory.mktemp(request.param)) as running:
        yield running


async def test_new_topic_has_four_partitions(broker: Broker) -> None:
    topic = await _create_topic(broker.bootstrap)
    async with _consumer(broker.bootstrap) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.getmany(timeout_ms=100)
        assert consumer.partitions_for_topic(topic) == {0, 1, 2, 3}


async def test_batch_of_five_is_read_back_in_order(broker: Broker) -> None:
    values = [b"value-%d" % i for i in range(5)]
    partition = TopicPartition(await _create_topic(broker.bootstrap), 2)
    async with _producer(broker) as producer:
        await _send_batch(producer, partition, values)
    assert await _read(broker.bootstrap, partition, len(values)) == list(enumerate(values))


async def test_record_of_ten_megabytes_is_read_back(broker: Broker) -> None:
    partition = TopicPartition(await _create_topic(broker.bootstrap), 0)
    async with _producer(broker) as producer:
        await producer.send_and_wait(partition.topic, LARGE, partition=0)
    ((offset, value),) = await _read(broker.bootstrap, partition, 1)
    assert offset == 0
    assert value == LARGE


async def test_committed_offset_outlives_its_consumer(broker: Broker) -> None:
    partition = TopicPartition(await _create_topic(broker.bootstrap), 1)
    group = f"group-{uuid4().hex}"
    async with _producer(broker) as producer:
        await _send_batch(producer, partition, [b"a", b"b", b"c"])
    async with _consumer(broker.bootstrap, group) as consumer:
        consumer.assign([partition])
        await consumer.commit({partition: 2})
    async with _consumer(broker.bootstrap, group) as consumer:
        consumer.assign([partition])
        assert await consumer.committed(partition) == 2


def test_stopped_broker_is_gone_and_has_no_address(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path / "logs" / "broker.log") as embedded:
        pid, port = embedded.pid, int(embedded.bootstrap.rpartition(":")[2])
    assert not _alive(pid)
    assert cluster_at(port) is None
    with pytest.raises(EmbeddedBrokerError, match="not running"):
        _ = embedded.bootstrap


def test_start_moves_to_another_port_when_one_was_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither fails nor hands out the broker that won the race."""
    with EmbeddedBroker(tmp_path / "first.log") as first:
        taken, free = int(first.bootstrap.rpartition(":")[2]), free_port()
        monkeypatch.setattr("meter.local.broker.free_port", iter([taken, free]).__next__)
        with EmbeddedBroker(tmp_path / "second.log") as second:
            assert second.bootstrap == f"127.0.0.1:{free}"


def test_broker_that_cannot_start_names_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meter.local.broker._executable", lambda: sys.executable)  # which ends at once
    with pytest.raises(EmbeddedBrokerError, match=r"ended while starting.*broker\.log"):
        EmbeddedBroker(tmp_path / "broker.log").__enter__()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux's")
def test_embedded_broker_dies_with_a_killed_parent(tmp_path: Path) -> None:
    script = (
        "import sys, time, pathlib; from meter.local.broker import EmbeddedBroker\n"
        "with EmbeddedBroker(pathlib.Path(sys.argv[1])) as broker:\n"
        "    print(broker.pid, flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "broker.log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert _alive(pid)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _alive(pid)


@pytest.mark.skipif(local_kafka.why_unavailable() is not None, reason=str(local_kafka.why_unavailable()))
async def test_local_kafka_keeps_port_and_data_through_kill_and_stop(tmp_path: Path) -> None:
    with LocalKafka(tmp_path) as kafka:
        bootstrap = kafka.bootstrap
        running = Broker(KAFKA, bootstrap, idempotent=True, restartable=True)
        partition = TopicPartition(await _create_topic(bootstrap), 3)
        async with _producer(running) as producer:
            await _send_batch(producer, partition, [b"kept"])
        kafka.kill()
        kafka.start()
        assert await _read(bootstrap, partition, 1) == [(0, b"kept")]
        kafka.stop()
    with LocalKafka(tmp_path) as again:
        assert again.bootstrap == bootstrap
        assert await _read(bootstrap, partition, 1) == [(0, b"kept")]


async def _create_topic(bootstrap: str) -> str:
    name = f"topic-{uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        reply = await admin.create_topics([NewTopic(name, 4, 1, topic_configs={"max.message.bytes": str(MAX_BYTES)})])
    finally:
        await admin.close()
    assert [error[:2] for error in reply.topic_errors] == [(name, 0)]
    return name


@asynccontextmanager
async def _producer(broker: Broker) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap,
        acks="all",
        enable_idempotence=broker.idempotent,
        max_request_size=MAX_BYTES,
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@asynccontextmanager
async def _consumer(bootstrap: str, group: str | None = None) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=MAX_BYTES,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def _send_batch(producer: AIOKafkaProducer, partition: TopicPartition, values: list[bytes]) -> None:
    batch = producer.create_batch()
    for value in values:
        assert batch.append(key=None, value=value, timestamp=None) is not None
    batch.close()
    sent = await producer.send_batch(batch, partition.topic, partition=partition.partition)
    await sent


async def _read(bootstrap: str, partition: TopicPartition, count: int) -> list[tuple[int, bytes]]:
    """The first `count` records of a partition as (offset, value)."""
    found: list[tuple[int, bytes]] = []
    async with _consumer(bootstrap) as consumer:
        consumer.assign([partition])
        while len(found) < count:
            record = await consumer.getone()
            found.append((record.offset, record.value))
    return found


def _alive(pid: int) -> bool:
    """Whether a process still runs; an orphan that is not reaped yet does not."""
    try:
        os.kill(pid, 0)
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return sys.platform != "linux"  # elsewhere there is no /proc, and the signal reached it
    except ProcessLookupError:
        return False
