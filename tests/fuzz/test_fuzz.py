"""The program itself: a small run of it holds, and it sees what it is for."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from meter.core.rejection import Rejected
from meter.sessionizer.python_engine import CoreEngine
from schemas.dead_letters import DeadLetter
from tests.fuzz.__main__ import main, ranges
from tests.fuzz.cases import BATCH, case
from tests.fuzz.world import Report, run_batch
from tests.sessionizer_engines import chosen

SEED = 1


def run(count: int, seed: int = SEED) -> Report:
    """Some inputs in this process."""
    total = Report()
    for numbers in ranges(count):
        total.add(run_batch(seed, numbers))
    return total


def test_thousands_of_damaged_inputs_are_refused_whole_or_metered_exactly() -> None:
    """DOMAIN, Metering 6: each is one dead letter, whole, with a reason, or valid by the oracle; nothing else moves."""
    report = run(5_000)
    assert report.differences == []
    assert (report.inputs, report.codes.total() + report.valid) == (5_000, 5_000)
    assert report.valid > 500
    assert report.codes.keys() >= {
        *("null_value", "too_large", "invalid_utf8", "not_json", "missing_field", "invalid_field", "unknown_type"),
        *("not_an_event", "future", "too_old", "late", "conflict"),
    }


def test_a_number_of_a_seed_is_one_input() -> None:
    """What failed can be made again."""
    inputs = [case(SEED, number) for number in range(200)]
    assert inputs == [case(SEED, number) for number in range(200)]
    assert len({each.value for each in inputs}) > 150
    assert inputs != [case(SEED + 1, number) for number in range(200)]
    assert [len(each) for each in ranges(2 * BATCH + 1)] == [BATCH, BATCH, 1]


def lost(self: DeadLetter) -> list[tuple[str, bytes | None]]:
    return [("code", b""), ("reason", self.reason.encode()), ("source-topic", self.source_topic.encode())]


def failing(*_: object) -> Any:
    raise OverflowError("date value out of range")


def silent(*_: object) -> Rejected:
    return Rejected("late", "")


LATE = "meter.core.sessions.sessionize.late" if chosen() is CoreEngine else "meter.sessionizer.kernel_engine.late"

BREAKS: list[tuple[str, Callable[..., Any], str]] = [
    ("meter.core.interpret._refusals", lambda *_, **__: iter(()), "the oracle says 1"),
    ("meter.core.decode._is_plain", lambda _: True, "the oracle says 1"),
    ("meter.core.sessions.timeliness.rfc3339", failing, "date value out of range"),
    (LATE, silent, "the reason names nothing"),
    ("schemas.dead_letters.DeadLetter.headers", lost, "dead letters"),
]


@pytest.mark.parametrize(("name", "replacement", "told"), BREAKS, ids=[name for name, _, _ in BREAKS])
def test_what_is_broken_is_found(
    monkeypatch: pytest.MonkeyPatch, name: str, replacement: Callable[..., Any], told: str
) -> None:
    """A product that reads too leniently, fails, or loses letters does not pass."""
    monkeypatch.setattr(name, replacement)
    differences = run(BATCH).differences
    assert any(told in difference for difference in differences), differences[:3]


def test_what_failed_is_named_and_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its seed and number; and the program then ends with 1."""
    monkeypatch.setattr("meter.core.interpret._ZONE", re.compile(""))
    first = run(2 * BATCH).differences[0]
    assert first.startswith(f"seed {SEED}, number ")
    number = int(first.split("number ")[1].split(",")[0])
    assert run_batch(SEED, range(number, number + 1)).differences == [first]


def test_the_last_line_says_it_all() -> None:
    """As `make fuzz` shows it."""
    done = CliRunner().invoke(main, ["--count", "300", "--seed", "5", "--processes", "1"])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("seed 5\n")
    assert done.output.splitlines()[-1].startswith("fuzz: 300 inputs, ")
    assert done.output.endswith(" events metered, difference 0\n")
