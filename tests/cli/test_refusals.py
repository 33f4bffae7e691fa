"""What cannot be done is refused with one sentence that names it and says what to do, and a status that is not 0."""

import gzip
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.brokers import EMBEDDED, Broker, running_broker
from tests.cli.conftest import SMALL
from tests.cli.refusals import aggregator, assert_refused, meter
from tests.integration.processes import ROOT, command, environment

pytestmark = pytest.mark.integration


def test_feed_that_is_not_there_is_refused_before_anything_starts(tmp_path: Path) -> None:
    """By `run` and by `produce`; no data directory is made."""
    missing, data = tmp_path / "missing.ndjson", tmp_path / "data"
    assert_refused(meter("run", "--feed", missing, "--data", data, "--once"), str(missing))
    assert_refused(meter("produce", "--feed", missing), str(missing))
    assert_refused(meter("run", "--feed", tmp_path, "--data", data, "--once"), str(tmp_path))
    assert not data.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_feed_that_may_not_be_read_is_refused(tmp_path: Path, feed: Path) -> None:
    """Like one that is not there."""
    feed.chmod(0)
    assert_refused(meter("run", "--feed", feed, "--data", tmp_path / "data", "--once"), str(feed))


@pytest.mark.parametrize("packed", [gzip.compress(b"\n".join(SMALL))[:-1000], b""])
def test_packed_feed_that_cannot_be_unpacked_is_refused(tmp_path: Path, packed: bytes) -> None:
    """One cut short. An empty file holds no events, which is no error; what is not packed is read as it is."""
    feed = tmp_path / "feed.ndjson.gz"
    feed.write_bytes(packed)
    done = meter("run", "--feed", feed, "--data", tmp_path / "data", "--once")
    if packed:
        assert_refused(done, str(feed), "cannot be read")
    else:
        assert done.returncode == 0, done.stderr


def test_foreign_directory_is_refused_and_left_alone(tmp_path: Path, feed: Path) -> None:
    """A directory with other files in it, and a file where a directory should be."""
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("ten years of work")
    assert_refused(meter("run", "--feed", feed, "--data", foreign, "--once"), str(foreign), "empty directory")
    assert [path.name for path in foreign.iterdir()] == ["thesis.txt"]
    assert_refused(meter("run", "--feed", feed, "--data", feed, "--once"), str(feed))


def test_taken_data_directory_is_refused(tmp_path: Path, feed: Path) -> None:
    """A second run, an analyst and a worker are told who has it; the first run goes on."""
    data = tmp_path / "data"
    first = subprocess.Popen(
        [sys.executable, "-m", "meter", "run", "--data", str(data)],
        cwd=ROOT,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert first.stderr
        while "broker at" not in (told := first.stderr.readline()):
            assert told, "the first run ended"
        second = meter("run", "--feed", feed, "--data", data, "--once")
        assert_refused(second, str(data), "in use by another run", str(first.pid))
        assert_refused(meter("sql", "--data", data, "SELECT 1"), str(data), "in use")
        assert_refused(aggregator("migrate", CLICKHOUSE_DSN=f"chdb://{data}/clickhouse"), str(data), "in use")
        assert first.poll() is None
    finally:
        first.terminate()
        assert first.wait(30) == 0


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "x"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka-1:9092,kafka-2"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka:99999"),
        ("KAFKA_PARTITIONS", "0"),
        ("KAFKA_REPLICATION_FACTOR", "two"),
        ("KAFKA_IDEMPOTENT", "perhaps"),
        ("KAFKA_SESSION_TIMEOUT_S", "0"),
        ("METRICS_PORT", "abc"),
        ("METRICS_PORT", "65536"),
        ("METER_CHECKPOINT_MS", "-1"),
        ("METER_LATE_HORIZON_H", "0"),
        ("METER_UNKNOWN_WORKSPACE", "refuse"),
        ("METER_DEBIT_ORDER", "dearest_first"),
        ("METER_LOG_LEVEL", "LOUD"),
    ],
)
def test_broken_variable_is_refused_by_the_meter(empty_broker: Broker, variable: str, value: str) -> None:
    """Before anything is done; by name and value, even where this very command does not need it."""
    done = meter("topics", **{"KAFKA_BOOTSTRAP_SERVERS": empty_broker.bootstrap} | {variable: value})
    assert_refused(done, variable, value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "x"),
        ("KAFKA_SESSION_TIMEOUT_S", "soon"),
        ("CLICKHOUSE_DSN", "nonsense"),
        ("CLICKHOUSE_DSN", "chdb://"),
        ("METRICS_PORT", "abc"),
        ("AGGREGATOR_FLUSH_MS", "-1"),
    ],
)
@pytest.mark.parametrize("word", ["migrate", "worker"])
def test_broken_variable_is_refused_by_the_aggregator(tmp_path: Path, word: str, variable: str, value: str) -> None:
    """Before anything is done; by name and value."""
    done = aggregator(word, **{"CLICKHOUSE_DSN": f"chdb://{tmp_path}/clickhouse"} | {variable: value})
    assert_refused(done, variable, value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ("topics",),
        ("worker",),
        ("produce", "--feed"),
        ("drained", "--timeout", "2"),
        ("dead-letters", "list"),
        ("dead-letters", "replay", "chat-events/0/0"),
    ],
)
def test_broker_away_is_refused_by_the_meter(words: tuple[str, ...], feed: Path, closed_port: int) -> None:
    """By the address where it was sought."""
    address = f"127.0.0.1:{closed_port}"
    more = [str(feed)] if words[0] == "produce" else []
    done = meter(*words, *more, KAFKA_BOOTSTRAP_SERVERS=address)
    assert_refused(done, address, "KAFKA_BOOTSTRAP_SERVERS")


@pytest.mark.parametrize(
    "words", [("worker",), ("produce", "--feed"), ("drained", "--timeout", "2"), ("dead-letters", "list")]
)
def test_topics_missing_is_refused_by_the_meter(words: tuple[str, ...], feed: Path, tmp_path: Path) -> None:
    """By the names of the topics, with the command that makes them."""
    more = [str(feed)] if words[0] == "produce" else []
    with running_broker(EMBEDDED, tmp_path) as broker:
        done = meter(*words, *more, KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap)
    assert_refused(done, "chat-events", "wallet-state", "python -m meter topics")


def test_aggregator_worker_names_what_is_missing(tmp_path: Path, closed_port: int) -> None:
    """First the tables, then the broker, then the topics."""
    dsn, away = f"chdb://{tmp_path}/clickhouse", f"127.0.0.1:{closed_port}"
    without_tables = aggregator("worker", CLICKHOUSE_DSN=dsn, KAFKA_BOOTSTRAP_SERVERS=away)
    assert_refused(without_tables, "tables", "python -m aggregator migrate")
    assert aggregator("migrate", CLICKHOUSE_DSN=dsn).returncode == 0
    without_broker = aggregator("worker", CLICKHOUSE_DSN=dsn, KAFKA_BOOTSTRAP_SERVERS=away)
    assert_refused(without_broker, away, "KAFKA_BOOTSTRAP_SERVERS")
    with running_broker(EMBEDDED, tmp_path) as broker:
        without_topics = aggregator("worker", CLICKHOUSE_DSN=dsn, KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap)
    assert_refused(without_topics, "ledger", "python -m meter topics")


@pytest.mark.parametrize("words", [("aggregator", "migrate"), ("aggregator", "worker"), ("meter", "sql", "SELECT 1")])
def test_clickhouse_away_is_refused(words: tuple[str, ...], closed_port: int) -> None:
    """By the address where it was sought, and without the password."""
    dsn = f"clickhouse://someone:hidden@127.0.0.1:{closed_port}/default"
    done = command(*words, env=environment(CLICKHOUSE_DSN=dsn))
    assert_refused(done, f"127.0.0.1:{closed_port}", "CLICKHOUSE_DSN")
    assert "hidden" not in done.stderr


def test_host_or_port_of_the_metrics_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    """A port that was asked for is not silently replaced by another, and a host has to be this one's."""
    dsn = f"chdb://{tmp_path}/clickhouse"
    assert aggregator("migrate", CLICKHOUSE_DSN=dsn).returncode == 0
    with socket.socket() as taken, running_broker(EMBEDDED, tmp_path) as broker:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        variables = {
            "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
            "KAFKA_IDEMPOTENT": "false",
            "CLICKHOUSE_DSN": dsn,
        }
        assert meter("topics", **variables).returncode == 0
        for program in (meter, aggregator):
            assert_refused(program("worker", **variables, METRICS_PORT=port), "METRICS_PORT", port)
            assert_refused(program("worker", **variables, METRICS_HOST="192.0.2.1"), "METRICS_HOST", "192.0.2.1")


def test_producer_that_the_broker_cannot_serve_is_refused(feed: Path, tmp_path: Path) -> None:
    """An idempotent producer needs Apache Kafka; by the variable that turns it off."""
    with running_broker(EMBEDDED, tmp_path) as broker:
        assert meter("topics", KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap).returncode == 0
        for words in (("worker",), ("produce", "--feed", str(feed))):
            done = meter(*words, KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap)
            assert_refused(done, broker.bootstrap, "KAFKA_IDEMPOTENT=false")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("run", "--once"), "--data"),
        (("run", "--once", "--data", "unused"), "--feed"),
        (("produce",), "--feed"),
        (("drained", "--timeout", "soon"), "--timeout"),
        (("sql",), "QUERY"),
        (("nonsense",), "nonsense"),
    ],
)
def test_wrong_words_are_answered_with_the_usage(words: tuple[str, ...], named: str) -> None:
    """What was meant is said in a last line, after how the command is used."""
    done = meter(*words)
    assert done.returncode == 2
    assert named in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
