"""Rounds as `make chaos` plays them, and what the command makes of them."""

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import SystemRandom

import pytest
from click.testing import CliRunner, Result

from meter.local.broker import free_port
from tests.chaos import __main__ as command
from tests.chaos.fleet import Fleet
from tests.chaos.plan import plan_of
from tests.chaos.rounds import Report, run_round
from tests.integration.processes import environment, eventually
from tests.kafka import local_kafka
from tests.kafka.local_kafka import LocalKafka


@pytest.mark.integration
@pytest.mark.skipif(local_kafka.why_unavailable() is not None, reason=f"no Kafka: {local_kafka.why_unavailable()}")
def test_a_round_differs_in_nothing(tmp_path: Path) -> None:
    """Two small rounds one after another on one Kafka: nothing of the first is left for the second to trip over."""
    seed = SystemRandom().randrange(10**6) * 5 + 1
    print(f"make chaos ROUNDS=2 SIZE=400 SEED={seed}")
    with LocalKafka(tmp_path / "kafka") as kafka:
        for number in (seed, seed + 1):
            report = run_round(kafka, plan_of(number, 400, faults=3), 400, tmp_path / str(number))
            assert report.differences == []
            assert report.events > 400
            assert report.faults.total() > 0


@pytest.mark.integration
def test_a_worker_that_ends_by_itself_is_counted_and_started_again(tmp_path: Path) -> None:
    """Here for want of a broker, with exit code 1."""
    fleet = Fleet(environment(KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}"), tmp_path)
    try:
        first = fleet.start("meter")
        eventually("it ends", lambda: first.ended() is not None, timeout_s=60)
        fleet.supervise()
        assert fleet.crashes == {1: 1}
        second = fleet.pick("meter", 0)
        assert second not in (None, first)
        assert "no Kafka broker answers" in first.log
    finally:
        fleet.kill_all()


class NoKafka:
    """Stands where Kafka would."""

    pid = 1

    def __init__(self, directory: Path) -> None:
        """Keeps nothing."""

    def __enter__(self) -> "NoKafka":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to stop."""


Play = Callable[..., Result]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Play:
    """The command with rounds that are not played; what each would differ in is given, by seed."""
    differences: dict[int, list[str]] = {}

    def round_of(_: object, plan: object, size: int, directory: Path) -> Report:
        directory.mkdir()
        seed = getattr(plan, "seed")  # noqa: B009 - whatever it is
        if differences.get(seed) == ["raise"]:
            raise RuntimeError("no such luck")
        faults = Counter({"kill": 2, "pause": 1, "broker kill": 1})
        return Report(
            size, faults, Counter({70: 1}), ["03-meter.log ended with 70: why"], 1.5, differences.get(seed, [])
        )

    monkeypatch.setattr(command, "LocalKafka", NoKafka)
    monkeypatch.setattr(command, "run_round", round_of)
    monkeypatch.setattr(local_kafka, "why_unavailable", lambda: None)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def play(given: dict[int, list[str]], *words: str) -> Result:
        differences.update(given)
        return CliRunner().invoke(command.main, words)

    return play


def test_rounds_without_a_difference_end_with_0(play: Play) -> None:
    """A line a round that says how to replay it, and one line that says it all; a pause is no kill."""
    done = play({}, "--rounds", "2", "--size", "30", "--seed", "4")
    assert done.exit_code == 0
    first, reason, second, _, last = done.stdout.splitlines()
    assert first == "round 1/2  seed 4  30 events  1 x broker kill, 2 x kill, 1 x pause  ended 1 x 70  1.5 s  differs 0"
    assert reason == "  03-meter.log ended with 70: why"
    assert "seed 5" in second
    assert last == "chaos: 2 rounds, 60 events, 6 kills, difference 0"


def test_a_difference_ends_with_1_and_keeps_the_round(play: Play) -> None:
    """However late it is; the rows are shown, and where the files are."""
    done = play({3: ["unit: missing x", "unit: missing y"]}, "--rounds", "3", "--size", "30")
    assert done.exit_code == 1
    assert "unit: missing y" in done.stdout
    kept = Path(done.stdout.partition("are kept in ")[2].splitlines()[0])
    assert kept.is_dir()
    assert not kept.with_name("seed-1").exists()
    assert done.stdout.splitlines()[-1] == "chaos: 3 rounds, 90 events, 9 kills, difference 2"


def test_a_round_that_breaks_off_is_a_difference(play: Play) -> None:
    """And the others are played all the same."""
    done = play({1: ["raise"]}, "--rounds", "2", "--size", "30")
    assert done.exit_code == 1
    assert "no such luck" in done.stdout
    assert done.stdout.splitlines()[-1] == "chaos: 2 rounds, 30 events, 3 kills, difference 1"


def test_without_kafka_a_sentence_and_2(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is started."""
    monkeypatch.setattr(local_kafka, "why_unavailable", lambda: "java 17 or newer is not on the PATH")
    done = CliRunner().invoke(command.main, [])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "chaos needs an Apache Kafka of its own to kill: java 17 or newer is not on the PATH\n"


def test_help_teaches() -> None:
    """What a round does, what its line says, how it is played again and what the exit codes are."""
    told = CliRunner().invoke(command.main, ["--help"]).stdout
    for word in ("--rounds", "--size", "--seed", "oracle", "70", "Exit code", "--rounds 1 --seed SEED"):
        assert word in told, word
