"""Rounds: one broker a number of keys, its feed, and every contender on it in turn, each alone on its core."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from meter.cli.progress import ProgressDisplay
from meter.local.broker import die_with_parent
from schemas.topics import CHAT_EVENTS
from tests.bench import loading, offsets
from tests.bench.audit import check, check_metered
from tests.bench.contenders import streams
from tests.bench.feed import Feed, Truth
from tests.bench.machine import this_machine
from tests.bench.measured import Measured
from tests.bench.results import Feeding, Results, Run
from tests.bench.roster import RAW, STREAMS, Contender
from tests.bench.task import COMMIT_S, Task
from tests.kafka.jars import install_jars
from tests.kafka.local_kafka import LocalKafka

ROOT: Final = Path(__file__).resolve().parents[2]
START_S: Final = 180.0
"""How long a contender may take beside its run: to start, to write its last checkpoint, to end."""


class BenchError(Exception):
    """The bench cannot go on; the message says why and what to do."""


class Plan(NamedTuple):
    """How much is measured."""

    feeds: dict[int, int]
    """Events by number of keys."""
    rounds: int
    limit_s: float
    """How long RAW and the meter may run."""
    peers_s: float
    """And everyone else."""
    is_quick: bool
    seed: int = 1


class Ground(NamedTuple):
    """Where the contenders of one feed meet."""

    keys: int
    truth: Truth
    bootstrap: str
    directory: Path
    core: int
    commit_s: float = COMMIT_S


def bench(
    plan: Plan,
    contenders: tuple[Contender, ...],
    shown: ProgressDisplay,
    keep: Callable[[Results], None] = lambda _: None,
) -> Results:
    """Measure, and after each run have what there is kept: it may take an hour, and the last run may fail.

    Raises BenchError, WrongCountError or what a launcher raises; nothing that it started outlives it.
    """
    broker_core, core = _cores()
    os.sched_setaffinity(0, {broker_core})  # And so is all that is started from here on, but for contenders.
    absent = {each.title: reason for each in contenders if (reason := each.why_not())}
    there = [each for each in contenders if each.title not in absent]
    broker = install_jars().name.replace("kafka-", "Apache Kafka ")
    results = Results(machine=this_machine(), broker=broker, is_quick=plan.is_quick, feeds=[], absent=absent, runs=[])
    if any(each.name == STREAMS for each in there):
        shown.phase("building the contender in Java", None)
        streams.build()
    for keys, count in plan.feeds.items():
        with tempfile.TemporaryDirectory(prefix="bench-") as directory, LocalKafka(Path(directory) / "kafka") as kafka:
            feed = Feed(keys, count, plan.seed)
            shown.phase(f"{keys:,} keys: writing {count:,} events", count)
            loading.load(kafka.bootstrap, feed, shown.advance)
            ground = Ground(keys, feed.truth, kafka.bootstrap, Path(directory), core)
            results.feeds.append(_feeding(ground, plan))
            for number in range(1, plan.rounds + 1):
                for contender in there:
                    shown.phase(f"{keys:,} keys, round {number} of {plan.rounds}: {contender.title}", None)
                    limit_s = plan.limit_s if contender.is_ours or contender.name == RAW else plan.peers_s
                    results.runs.append(one(ground, contender, number, limit_s))
                    keep(results)
    return results


def _cores() -> tuple[int, int]:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchError("the broker and a contender need a core each, and this process may use one: give it two.")
    return cores[0], cores[1]


def _feeding(ground: Ground, plan: Plan) -> Feeding:
    truth = ground.truth
    return Feeding(
        keys=ground.keys,
        events=truth.events,
        conversations=truth.conversations,
        bytes_a_event=truth.value_bytes / truth.events,
        rounds=plan.rounds,
    )


def one(ground: Ground, contender: Contender, number: int, limit_s: float) -> Run:
    """One run of one contender, on new topics. Raises BenchError or WrongCountError."""
    name = f"bench-{contender.name.replace('_', '-')}-{number}"
    directory = ground.directory / name
    directory.mkdir()
    task = Task(
        bootstrap=ground.bootstrap,
        topic=CHAT_EVENTS.name,
        events=ground.truth.events,
        keys=ground.keys,
        limit_s=limit_s,
        directory=str(directory),
        name=name,
        updates_topic=f"{name}-updates",
        commit_s=ground.commit_s,
    )
    if contender.is_ours:
        offsets.renew(ground.bootstrap)
    else:
        offsets.make(ground.bootstrap, task.updates_topic)
    measured = _measure(contender, task, ground.core)
    is_whole = check(contender.title, task, ground.truth, measured)
    if contender.is_ours and is_whole:
        check_metered(contender.title, task, ground.truth)
    offsets.remove(ground.bootstrap, name)
    return Run(keys=ground.keys, round=number, contender=contender.name, is_whole=is_whole, measured=measured)


def _measure(contender: Contender, task: Task, core: int) -> Measured:
    """Run it on its core to its end, and read its report."""
    log = Path(task.directory).with_suffix(".log")
    command = [sys.executable, "-m", f"tests.bench.contenders.{contender.name}", msgspec.json.encode(task).decode()]
    with log.open("wb") as errors:
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                timeout=task.limit_s + START_S,
                preexec_fn=_alone_on(core),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BenchError(f"{contender.title} did not end in time; the end of its log:\n{_tail(log)}") from None
    reports = [line for line in done.stdout.splitlines() if line.startswith(b"{")]
    if not reports:
        raise BenchError(f"{contender.title} ended without a report; the end of its log:\n{_tail(log)}")
    measured = msgspec.json.decode(reports[-1], type=Measured)
    if not measured.events:
        raise BenchError(f"{contender.title} saw events and took none; the end of its log:\n{_tail(log)}")
    return measured


def _environment() -> dict[str, str]:
    """This one's, without settings of the meter but how much it logs."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "METER_"))}
    return ours | {"METER_LOG_LEVEL": os.environ.get("METER_LOG_LEVEL", "WARNING")}


def _alone_on(core: int) -> Callable[[], None]:
    """What a contender's process does first: move to its core, and see to it that it does not outlive this one."""
    die = die_with_parent()

    def prepare() -> None:
        os.sched_setaffinity(0, {core})
        if die is not None:
            die()

    return prepare


def _tail(log: Path) -> str:
    return log.read_text("utf-8", "replace")[-1500:]
