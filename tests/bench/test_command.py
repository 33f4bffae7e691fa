"""What people type: it teaches, and refuses in one sentence what it cannot do."""

import os

import pytest
from click.testing import CliRunner

from meter.cli.progress import show_progress
from tests.bench import __main__ as command
from tests.bench.roster import roster
from tests.bench.run import BenchError, bench
from tests.kafka import local_kafka


def test_help_names_every_contender_and_how_to_ask_for_less() -> None:
    """With what is printed and written."""
    shown = CliRunner().invoke(command.main, ["--help"], terminal_width=400)
    assert shown.exit_code == 0
    for text in ("--quick", "--keys", "--rounds", "build/bench.json", *(each.name for each in roster())):
        assert text in shown.output


def test_without_kafka_it_says_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is measured on another broker in its place."""
    monkeypatch.setattr(local_kafka, "why_unavailable", lambda: "java 17 or newer is not on the PATH")
    refused = CliRunner().invoke(command.main, ["--quick"])
    assert refused.exit_code == 1
    assert "a real Apache Kafka is needed: java 17 or newer is not on the PATH" in refused.output


def test_one_core_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A contender that shares its core with the broker would be measured with it."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    with show_progress() as shown, pytest.raises(BenchError, match="give it two"):
        bench(command.QUICK, roster(), shown)
