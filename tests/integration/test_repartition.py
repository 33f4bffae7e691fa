"""More partitions on Apache Kafka with real workers: refused with a sentence, moved by a command, exact after it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from aiokafka.admin import NewPartitions

from schemas.exit_statuses import FAILED, REFUSED
from schemas.topics import ACCOUNT_COMMANDS, CHAT_EVENTS, TOPICS
from tests.brokers import KAFKA, available_brokers, running_broker, why_no_kafka
from tests.feeds.generator import generate
from tests.feeds.lines import millis
from tests.integration.outcome import assert_exact
from tests.integration.processes import ROOT, Deployment, command, deployed
from tests.integration.test_operations import admin, agreeing, work

pytestmark = pytest.mark.integration

BEFORE, AFTER, LAST = 2, 3, 6


@pytest.mark.timeout(1200)  # It starts about thirty processes, one after another.
def test_more_partitions_change_no_bill(tmp_path: Path) -> None:
    """From 2 to 3, where an operator has begun with Kafka's tools and the command is killed; then to 6."""
    if KAFKA not in available_brokers():
        pytest.skip(why_no_kafka() or "")
    variables = {"METER_CHECKPOINT_MS": "100", "AGGREGATOR_FLUSH_MS": "50", "KAFKA_PARTITIONS": str(BEFORE)}
    with running_broker(KAFKA, tmp_path) as broker, deployed(broker, tmp_path, **variables) as it:
        lines = list(generate(seed=5, events=400, start_ms=millis(2026, 8, 1)))
        produce(it, lines[:150])
        refuse_while_workers_run(it)
        agreeing(it)
        produce(it, lines[150:200])
        add_some_by_hand(it)
        produce(it, lines[200:250])
        refuse_what_cannot_be(it)
        kill_in_the_middle(it)
        move(it, AFTER)
        assert "the topics were repartitioned" in command("meter", "rebuild", env=it.env).stderr
        produce(it, lines[250:300])
        work(it)
        agreeing(it)
        move(it, LAST)
        produce(it, lines[300:], close=True)
        work(it)
        agreeing(it)
        assert_exact(tmp_path, lines, in_order=False)


def produce(it: Deployment, lines: list[bytes], *, close: bool = False) -> None:
    """Write lines as a client does that knows of all partitions there are."""
    feed = it._new_file("feed.ndjson")
    feed.write_bytes(b"".join(line + b"\n" for line in lines))
    it.do("meter", "produce", "--feed", str(feed), *(["--close"] if close else []))


def refuse_while_workers_run(it: Deployment) -> None:
    worker = it.start("meter")
    worker.ready(120)
    said = command("meter", "repartition", "--to", str(AFTER), "--yes", env=it.env | {"KAFKA_SESSION_TIMEOUT_S": "2"})
    assert said.returncode == FAILED
    assert "1 workers of the meter still run: stop all of them first" in said.stderr
    worker.ask_to_stop()
    worker.stopped()
    work(it)


def add_some_by_hand(it: Deployment) -> None:
    """Two topics get more partitions, as with Kafka's own tool; then no worker starts."""
    added = {topic.name: NewPartitions(AFTER) for topic in (CHAT_EVENTS, ACCOUNT_COMMANDS)}
    admin(it, lambda client: client.create_partitions(added))
    said = command("meter", "worker", env=it.env)
    assert said.returncode == REFUSED
    assert f"run `python -m meter repartition --to {AFTER} --yes`" in said.stderr


def refuse_what_cannot_be(it: Deployment) -> None:
    said = command("meter", "repartition", "--to", str(BEFORE), "--yes", env=it.env)
    assert said.returncode == FAILED
    assert "and Kafka takes none away: give --to 3 or more" in said.stderr
    planned = it.do("meter", "repartition", "--to", str(AFTER), "--format", "json").splitlines()
    assert {each["topic"] for each in map(json.loads, planned)} == {
        topic.name for topic in TOPICS if topic not in (CHAT_EVENTS, ACCOUNT_COMMANDS)
    }


def kill_in_the_middle(it: Deployment) -> None:
    """Kill the command when it has begun: workers name it, and it must have the same number again."""
    words = [sys.executable, "-m", "meter", "repartition", "--to", str(AFTER), "--yes"]
    with subprocess.Popen(words, cwd=ROOT, env=it.env, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("adding partitions"):
                time.sleep(0.5)
                process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    said = command("meter", "repartition", "--to", str(LAST), "--yes", env=it.env)
    assert "a change from 2 to 3 partitions has begun and must come to its end first" in said.stderr
    worker = command("meter", "worker", env=it.env)
    assert worker.returncode == REFUSED
    assert f"run `python -m meter repartition --to {AFTER} --yes`" in worker.stderr
    assert "repartition" in command("meter", "accept-loss", env=it.env).stderr


def move(it: Deployment, after: int) -> None:
    """Give the command to its end, and once more."""
    *_, done = it.do("meter", "repartition", "--to", str(after), "--yes", "--format", "json").splitlines()
    assert json.loads(done)["to"] == after
    assert it.do("meter", "repartition", "--to", str(after), "--yes").startswith("nothing to do")
