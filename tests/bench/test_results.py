"""The figures follow from the runs: by hand here, and what is written is what is shown."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.bench import table
from tests.bench.machine import this_machine
from tests.bench.measured import MIB, Measured
from tests.bench.results import Feeding, Results, Run

KEYS = 1_000


def run(number: int, contender: str, *, events: int, wall_s: float, cpu_s: float, is_whole: bool = True) -> Run:
    """One run; every second event is announced, and memory grows by a MiB."""
    measured = Measured(
        events=events,
        messages=events,
        announced=events // 2,
        wall_s=wall_s,
        cpu_s=cpu_s,
        peak_bytes=3 * MIB,
        start_bytes=2 * MIB,
    )
    return Run(keys=KEYS, round=number, contender=contender, is_whole=is_whole, measured=measured)


@pytest.fixture
def results() -> Results:
    """Three rounds: RAW at 100, 200 and 400 events a second, the meter always at 200; Streams in the last two."""
    runs = []
    for number, raw_s in ((1, 10.0), (2, 5.0), (3, 2.5)):
        runs.append(run(number, "raw", events=1_000, wall_s=raw_s, cpu_s=1.0))
        runs.append(run(number, "meter", events=1_000, wall_s=5.0, cpu_s=4.0))
    runs += [run(number, "streams", events=500, wall_s=5.0, cpu_s=4.0 * number, is_whole=False) for number in (2, 3)]
    feed = Feeding(keys=KEYS, events=1_000, conversations=133, bytes_a_event=250.0, rounds=3)
    return Results(
        machine=this_machine(), broker="a broker", is_quick=True, feeds=[feed], absent={"X": "no java"}, runs=runs
    )


def test_ratios_are_medians_over_rounds_beside_raw(results: Results) -> None:
    """Each run is divided by RAW of its own round: 2, 1 and a half here. Medians of both sides would say the same only
    if rounds were alike.
    """
    raw, meter, streams = results.lines(KEYS)
    assert (raw.ratio, meter.ratio, streams.ratio) == (1.0, 1.0, 0.375)
    assert (raw.events_a_s, raw.slowest_a_s, raw.fastest_a_s) == (200.0, 100.0, 400.0)
    assert (meter.events_a_s, meter.run_s, meter.is_whole, streams.is_whole) == (200.0, 5.0, True, False)


def test_costs_are_those_of_a_million_events_and_beside_streams(results: Results) -> None:
    """CPU-seconds by events taken, of any part of the feed."""
    _, meter, streams = results.lines(KEYS)
    assert (meter.cpu_s_a_million, streams.cpu_s_a_million) == (4_000.0, 20_000.0)
    assert meter.a_cpu_s_by_streams == pytest.approx((4.0 + 6.0) / 2)
    assert (meter.peak_mib, meter.announced_a_event) == (3.0, 0.5)


def test_memory_is_by_keys_that_a_run_has_met(results: Results) -> None:
    """Of 1,000 uniform keys, 1,000 events meet 632 and 500 events 394: what a prefix has not met takes no memory."""
    _, meter, streams = results.lines(KEYS)
    assert MIB / meter.bytes_a_key == pytest.approx(632.3, abs=0.1)
    assert MIB / streams.bytes_a_key == pytest.approx(393.6, abs=0.1)


def test_what_is_written_is_found_by_keys_and_contender(results: Results, tmp_path: Path) -> None:
    """`ratios.<keys>.<contender>` and `cpu_s_per_million.<keys>.<contender>`, with every run and the machine."""
    out = tmp_path / "new" / "bench.json"
    results.write(out)
    written: dict[str, Any] = orjson.loads(out.read_bytes())
    assert written["ratios"]["1000"] == {"raw": 1.0, "meter": 1.0, "streams": 0.375}
    assert written["cpu_s_per_million"]["1000"]["meter"] == 4_000.0
    assert len(written["runs"]) == 8
    assert written["machine"]["cores"] >= 1
    assert written["absent"] == {"X": "no java"}


def test_the_table_says_what_its_figures_depend_on(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    """Machine, broker, keys, events and rounds; a star where a feed was not taken whole; who is absent, and why."""
    table.show(results)
    shown = capsys.readouterr().out
    for text in (
        "a broker",
        "1,000 live keys: 1,000 events of 250 bytes",
        "medians of 3",
        "500 *",
        "X: no java",
        "0.375",
    ):
        assert text in shown
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= table.WIDTH
