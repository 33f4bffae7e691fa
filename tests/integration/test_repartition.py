"""More partitions on Apache Kafka with real workers: refused with a sentence, moved by a command, exact after it."""

from pathlib import Path

import pytest
from aiokafka.admin import NewPartitions

from schemas.topics import CHAT_EVENTS
from tests.brokers import KAFKA, available_brokers, running_broker, why_no_kafka
from tests.feeds.generator import generate
from tests.feeds.lines import millis
from tests.integration.processes import Deployment, command, deployed
from tests.integration.test_operations import admin, agreeing, work

pytestmark = pytest.mark.integration


@pytest.mark.timeout(600)
def test_smoke(tmp_path: Path) -> None:
    if KAFKA not in available_brokers():
        pytest.skip(why_no_kafka() or "")
    with (
        running_broker(KAFKA, tmp_path) as broker,
        deployed(broker, tmp_path, METER_CHECKPOINT_MS="100", AGGREGATOR_FLUSH_MS="50", KAFKA_PARTITIONS="2") as it,
    ):
        feed = list(generate(seed=5, events=400, start_ms=millis(2026, 8, 1)))
        produce(it, feed[:200])
        work(it)
        before = agreeing(it)
        print(it.do("meter", "repartition", "--to", "3"))
        produce(it, feed[200:300])
        admin(it, lambda client: client.create_partitions({CHAT_EVENTS.name: NewPartitions(3)}))
        print(command("meter", "worker", env=it.env).stderr)
        done = command("meter", "repartition", "--to", "3", "--yes", env=it.env)
        print(done.stdout, done.stderr)
        assert done.returncode == 0
        produce(it, feed[300:])
        work(it)
        after = agreeing(it)
        print(len(before["ledger"]), len(after["ledger"]))


def produce(it: Deployment, lines: list[bytes]) -> None:
    file = it._new_file("feed.ndjson")
    file.write_bytes(b"".join(line + b"\n" for line in lines))
    it.do("meter", "produce", "--feed", str(file))
