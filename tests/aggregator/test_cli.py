"""The commands, as typed."""

import pytest
from click.testing import CliRunner

from aggregator.cli.main import main
from aggregator.clickhouse.client import ClickHouse
from aggregator.clickhouse.migrate import apply
from meter.local.broker import free_port


def test_help_teaches() -> None:
    """The commands, what they need and in which order are in the help."""
    text = CliRunner().invoke(main, ["--help"]).output
    for word in (
        "migrate",
        "worker",
        "reconcile",
        "KAFKA_BOOTSTRAP_SERVERS",
        "CLICKHOUSE_DSN",
        "chdb:///DIR",
        "usage_daily",
    ):
        assert word in text


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_has_an_example(command: str) -> None:
    """The help of a command shows how it is typed, and its first sentence fits into the list of commands."""
    assert f"python -m aggregator {command}" in CliRunner().invoke(main, [command, "--help"]).output
    assert "..." not in CliRunner().invoke(main, ["--help"]).output.replace("[ARGS]...", "")


def test_help_explains_the_grace_time() -> None:
    """A reader learns what the seconds of `--grace` are waited for."""
    text = " ".join(CliRunner().invoke(main, ["reconcile", "--help"]).output.split())
    assert "only partly written" in text
    assert "its missing rows are a difference" in text


def test_migrate_says_what_it_did(dsn: str) -> None:
    """The first run names each step, the second says that there was none."""
    run = CliRunner(env={"CLICKHOUSE_DSN": dsn})
    first, second = run.invoke(main, ["migrate"]), run.invoke(main, ["migrate"])
    assert (first.exit_code, first.output) == (
        0,
        "applied 0001_facts\napplied 0002_views\napplied 0003_reconciliation\napplied 0004_holdings\n",
    )
    assert (second.exit_code, second.output) == (0, "the tables are up to date\n")


def refusal(command: str, environment: dict[str, str]) -> tuple[int, str]:
    result = CliRunner(env=environment).invoke(main, [command])
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.exit_code, result.stderr


@pytest.mark.parametrize("command", ["migrate", "worker", "reconcile"])
def test_wrong_setting_exits_2(command: str) -> None:
    """Broken configuration is one sentence on stderr and exit code 2."""
    code, sentence = refusal(command, {"METRICS_PORT": "many"})
    assert code == 2
    assert sentence.startswith("Error: METRICS_PORT")


@pytest.mark.parametrize("command", ["migrate", "worker", "reconcile"])
def test_taken_directory_exits_1(command: str, dsn: str) -> None:
    """A data directory in use is one sentence and exit code 1."""
    with ClickHouse(dsn):
        code, sentence = refusal(command, {"CLICKHOUSE_DSN": dsn})
    assert code == 1
    assert "in use by another process" in sentence


@pytest.mark.parametrize("command", ["migrate", "worker", "reconcile"])
def test_absent_server_exits_1(command: str) -> None:
    """ClickHouse away is one sentence and exit code 1."""
    code, sentence = refusal(command, {"CLICKHOUSE_DSN": f"clickhouse://127.0.0.1:{free_port()}/default"})
    assert code == 1
    assert "does not answer" in sentence


def test_worker_wants_its_tables(dsn: str) -> None:
    """A worker creates no tables; it says who does."""
    code, sentence = refusal("worker", {"CLICKHOUSE_DSN": dsn})
    assert code == 1
    assert "run `python -m aggregator migrate` first" in sentence


def test_worker_wants_kafka(dsn: str) -> None:
    """Kafka away is one sentence and exit code 1."""
    with ClickHouse(dsn) as clickhouse:
        apply(clickhouse)
    kafka = f"127.0.0.1:{free_port()}"
    code, sentence = refusal("worker", {"CLICKHOUSE_DSN": dsn, "KAFKA_BOOTSTRAP_SERVERS": kafka})
    assert code == 1
    assert f"no Kafka broker answers at {kafka}" in sentence
