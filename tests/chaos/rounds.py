"""One round: topics and tables afresh, workers, a feed, faults, and the verdict."""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aggregator.clickhouse.client import ClickHouse
from aggregator.clickhouse.migrate import apply
from aggregator.clickhouse.read_only import query
from meter.kernel import is_built
from tests.chaos import logs
from tests.chaos.clickhouse import Server
from tests.chaos.faults import Timeline
from tests.chaos.feeding import Feeding, Slice, slices_of
from tests.chaos.fleet import Fleet
from tests.chaos.judgement import TOPICS_READ, Book, Given, book_from, judge
from tests.chaos.plan import Plan
from tests.integration.outcome import oracle
from tests.integration.processes import ROOT, environment
from tests.integration.views import Row
from tests.kafka.local_kafka import LocalKafka

_TICK_S: Final = 0.05


@dataclass
class Report:
    """What a round did and what came of it."""

    events: int
    faults: Counter[str] = field(default_factory=Counter)
    """How many of each kind."""
    crashes: Counter[int] = field(default_factory=Counter)
    """Exit codes of workers that ended by themselves."""
    reasons: list[str] = field(default_factory=list)
    """What those said that met an error, and not just a server that was away."""
    seconds: float = 0
    differences: list[str] = field(default_factory=list)


def run_round(kafka: LocalKafka, plan: Plan, size: int, directory: Path) -> Report:
    """Play a round; files and logs go to `directory`, which is made."""
    began_at = time.monotonic()
    directory.mkdir(parents=True)
    slices = slices_of(plan, size)
    report = Report(events=sum(len(part.lines) + len(part.poison) for part in slices))
    asyncio.run(logs.renew(kafka.bootstrap))
    clickhouse = Server(directory / "clickhouse")
    fleet = Fleet(_environment(kafka, clickhouse, plan, directory), directory)
    try:
        clickhouse.start()
        with ClickHouse(clickhouse.dsn) as tables:
            apply(tables)
        report.faults = _play(kafka, clickhouse, fleet, plan, slices, directory)
        report.differences += _drain(kafka, fleet, directory, timeout_s=90 + size / 1_000)
        report.differences += [f"a worker did not end in order: its log is {log}" for log in fleet.stuck]
        report.differences += _judge(kafka, clickhouse, slices, directory)
    finally:
        fleet.kill_all()
        clickhouse.kill()
    report.crashes, report.reasons = fleet.crashes, fleet.reasons
    report.seconds = time.monotonic() - began_at
    return report


def _environment(kafka: LocalKafka, clickhouse: Server, plan: Plan, directory: Path) -> dict[str, str]:
    spilling = {"METER_SPILL_DIR": str(directory / "spilled"), "METER_SPILL_ABOVE_MB": "0"}
    return environment(
        **(spilling if plan.spills and is_built() else {}),
        KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap,
        KAFKA_SESSION_TIMEOUT_S=str(plan.session_s),
        CLICKHOUSE_DSN=clickhouse.dsn,
        METER_CHECKPOINT_MS=str(plan.checkpoint_ms),
        METER_LOG_LEVEL="INFO",
        AGGREGATOR_FLUSH_MS=str(plan.flush_ms),
    )


def _play(
    kafka: LocalKafka, clickhouse: Server, fleet: Fleet, plan: Plan, slices: list[Slice], directory: Path
) -> Counter[str]:
    """Feed and disturb until both are through; everything taken away is there again at the end."""
    for program in ["meter"] * plan.meters + ["aggregator"] * plan.aggregators:
        fleet.start(program)
    fleet.ready()
    timeline = Timeline(plan, fleet, clickhouse, kafka, directory / "faults.log")
    feeding = Feeding(kafka.bootstrap, slices, directory, plan)
    feeding.start()
    while not (timeline.advance() and feeding.finished()):
        fleet.supervise()
        time.sleep(_TICK_S)
    return timeline.done


def _drain(kafka: LocalKafka, fleet: Fleet, directory: Path, timeout_s: float) -> list[str]:
    """Wait until all is in ClickHouse and end the workers in order; what prevented it, if anything."""
    with (directory / "drained.log").open("wb") as log:
        waiting = subprocess.Popen(
            [sys.executable, "-m", "meter", "drained", "--timeout", str(timeout_s)],
            cwd=ROOT,
            env=environment(KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        while waiting.poll() is None:
            fleet.supervise()
            time.sleep(_TICK_S)
    finally:
        waiting.kill()
        waiting.wait()
    last_words = fleet.last_words()
    fleet.stop("meter")
    # A worker that was superseded may have written to the end.
    in_time = asyncio.run(logs.wait_aggregated(kafka.bootstrap, timeout_s))
    fleet.stop("aggregator")
    if waiting.returncode or not in_time:
        told = (directory / "drained.log").read_text("utf-8", "replace").strip()
        late = f"not drained within {timeout_s:.0f} s: {told or 'the ledger was not read to its end'}"
        return [late, *(f"the last word of {log}" for log in last_words)]
    return []


def _judge(kafka: LocalKafka, clickhouse: Server, slices: list[Slice], directory: Path) -> list[str]:
    lines = [line for part in slices for line in part.lines]
    poison = [record for part in slices for record in part.poison]
    strange = [record for topic in TOPICS_READ for record in asyncio.run(logs.read_all(kafka.bootstrap, topic))]
    found = judge(_book(clickhouse), Given(lines, poison, strange), oracle(lines))
    if found:
        (directory / "differences.txt").write_text("".join(f"{each}\n" for each in found))
        asyncio.run(logs.keep(kafka.bootstrap, directory))
    return found


def _book(clickhouse: Server) -> Book:
    def ask(sql: str) -> list[Row]:
        return [json.loads(row) for row in query(clickhouse.dsn, sql, "JSONEachRow").splitlines()]

    return book_from(ask)
