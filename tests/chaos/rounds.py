"""One round: topics and tables afresh, workers, a feed, faults, and the verdict."""

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from aggregator.clickhouse.client import ClickHouse
from aggregator.clickhouse.migrate import apply
from aggregator.clickhouse.read_only import query
from meter.kernel import is_built
from schemas.topics import ENTITLEMENTS
from tests.chaos import logs
from tests.chaos.acts import perform
from tests.chaos.clickhouse import Server
from tests.chaos.draining import drained
from tests.chaos.faults import Timeline
from tests.chaos.feeding import Feeding, Slice, slices_of
from tests.chaos.fleet import Fleet
from tests.chaos.judgement import TOPICS_READ, Book, Given, book_from, judge
from tests.chaos.operator_acts import Operator
from tests.chaos.plan import Plan
from tests.chaos.scene import Aftermath, Scene
from tests.integration.outcome import oracle
from tests.integration.processes import environment
from tests.integration.views import Row
from tests.kafka.local_kafka import LocalKafka


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
        report.faults, report.differences, aftermath = _play(kafka, clickhouse, fleet, plan, slices, directory)
        report.differences += _drain(kafka, fleet, directory, timeout_s=90 + size / 1_000)
        report.differences += [f"a worker did not end in order: its log is {log}" for log in fleet.stuck]
        report.differences += _judge(kafka, clickhouse, slices, aftermath, directory)
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
) -> tuple[Counter[str], list[str], Aftermath]:
    """Feed and disturb until both are through; everything taken away is there again at the end."""
    for program in ["meter"] * plan.meters + ["aggregator"] * plan.aggregators:
        fleet.start(program)
    fleet.ready()
    operator = Operator(fleet.env, directory / "operator.log")
    feeding = Feeding(kafka.bootstrap, slices, directory, plan)
    scene = Scene(kafka.bootstrap, clickhouse, fleet, plan, feeding, operator, directory)
    timeline = Timeline(fleet, clickhouse, kafka, operator, directory / "faults.log")
    timeline.begin(plan.faults_before_act())
    feeding.start()
    if plan.act is not None:
        scene.wait(lambda: timeline.advance() and feeding.waits())
        timeline.note(str(plan.act))
        timeline.done[plan.act.kind] += 1
        perform(scene, plan.act)
        timeline.begin(plan.faults_after_act())
    scene.wait(lambda: timeline.advance() and feeding.finished())
    return timeline.done, timeline.wrong, scene.aftermath


def _drain(kafka: LocalKafka, fleet: Fleet, directory: Path, timeout_s: float) -> list[str]:
    """Wait until all is in ClickHouse and end the workers in order; what prevented it, if anything."""
    late = drained(kafka.bootstrap, fleet, directory / "drained.log", timeout_s)
    last_words = fleet.last_words()
    fleet.stop("meter")
    # A worker that was superseded may have written to the end.
    in_time = asyncio.run(logs.wait_aggregated(kafka.bootstrap, timeout_s))
    fleet.stop("aggregator")
    if late is None and not in_time:
        late = f"not drained within {timeout_s:.0f} s: the ledger was not read to its end"
    return [late, *(f"the last word of {log}" for log in last_words)] if late else []


def _judge(
    kafka: LocalKafka, clickhouse: Server, slices: list[Slice], aftermath: Aftermath, directory: Path
) -> list[str]:
    lines = [line for part in slices for line in part.lines]
    poison = [record for part in slices for record in part.poison]
    strange = [record for topic in TOPICS_READ for record in asyncio.run(logs.read_all(kafka.bootstrap, topic))]
    read = [each for each in strange if each.offset >= aftermath.starts.get((each.topic, each.partition), 0)]
    entitlements = [each.value for each in asyncio.run(logs.read_all(kafka.bootstrap, ENTITLEMENTS.name))]
    given = Given(lines, poison, [*aftermath.former, *read], aftermath.lost, entitlements)
    found = judge(_book(clickhouse), given, oracle(lines))
    if found:
        (directory / "differences.txt").write_text("".join(f"{each}\n" for each in found))
        asyncio.run(logs.keep(kafka.bootstrap, directory))
    return found


def _book(clickhouse: Server) -> Book:
    def ask(sql: str) -> list[Row]:
        return [json.loads(row) for row in query(clickhouse.dsn, sql, "JSONEachRow").splitlines()]

    return book_from(ask)
