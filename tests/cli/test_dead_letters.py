"""What `dead-letters` refuses, and what it says where there is nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers import EMBEDDED, Broker, running_broker
from tests.cli.refusals import assert_refused, meter
from tests.integration.processes import Finished

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def topics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker with all topics and nothing on them."""
    with running_broker(EMBEDDED, tmp_path_factory.mktemp("broker")) as broker:
        assert meter("topics", KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap).returncode == 0
        yield broker


def dead_letters(broker: Broker, *words: str | Path) -> Finished:
    return meter("dead-letters", *words, KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap, KAFKA_IDEMPOTENT="false")


def test_where_nothing_was_refused_nothing_is_listed(topics: Broker) -> None:
    """People are told that there is nothing; machines get no line."""
    done = dead_letters(topics, "list")
    assert (done.returncode, done.stdout.splitlines()[-1], done.stderr) == (0, "no dead letters", "")
    done = dead_letters(topics, "list", "--format", "json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("words", [("show",), ("show", "--raw"), ("replay",), ("replay", "--dry-run")])
def test_letter_that_is_not_there_is_refused(topics: Broker, words: tuple[str, ...]) -> None:
    """By its id, with the command that lists those that are."""
    assert_refused(dead_letters(topics, *words, "chat-events/0/7"), "chat-events/0/7", "dead-letters list")


def test_nothing_of_a_code_is_refused(topics: Broker) -> None:
    """A code that no letter has, or none that waits."""
    assert_refused(dead_letters(topics, "replay", "--code", "future", "--all"), "future", "dead-letters list")


def test_mended_file_that_cannot_be_read_is_refused(topics: Broker, tmp_path: Path) -> None:
    """By its path."""
    missing = tmp_path / "mended.json"
    assert_refused(dead_letters(topics, "replay", "chat-events/0/7", "--file", missing), str(missing))


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--all",),
        ("--code", "late"),
        ("chat-events/0/7", "--all", "--code", "late"),
        ("chat-events/0/7", "--code", "late"),
        ("--all", "--code", "late", "--file", "mended.json"),
    ],
)
def test_replay_wants_to_know_which(topics: Broker, words: tuple[str, ...]) -> None:
    """One id, or all of a code, and never mended bytes for several."""
    done = dead_letters(topics, "replay", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "give one ID, with or without --file; or --code CODE --all" in done.stderr


def test_since_is_a_time(topics: Broker) -> None:
    """With examples of what is."""
    done = dead_letters(topics, "list", "--since", "yesterday")
    assert (done.returncode, done.stdout) == (2, "")
    assert "24h, 7d, 2026-11-20" in done.stderr
