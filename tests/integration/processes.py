"""The product's processes as an operator starts them: real subprocesses, stopped, killed, started again and asked."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient

from meter.local.broker import die_with_parent
from schemas.topics import TOPICS
from tests.brokers import KAFKA, Broker

ROOT = Path(__file__).resolve().parents[2]

DRAIN_S = 120
COMMAND_S = DRAIN_S + 60
STOP_S = 60
"""Bounds for what never ends. No test decides by them how fast something is: many processes may share the machine."""

_OURS = ("KAFKA_", "CLICKHOUSE_", "METRICS_", "METER_", "AGGREGATOR_")
_READY = re.compile(r"^(?:meter|aggregator|payments \(\w+\)) ready, metrics at (?P<url>http://\S+)$", re.MULTILINE)

Finished = subprocess.CompletedProcess[str]


def environment(**variables: str) -> dict[str, str]:
    """This process's variables without the product's own, and those given."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)} | variables


def command(*words: str, env: dict[str, str], timeout_s: float = COMMAND_S) -> Finished:
    """Run one command of the product to its end, without a terminal and without standard input."""
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def answer(data: Path, sql: str) -> list[dict[str, Any]]:
    """What an analyst is told about a data directory that no process uses any more."""
    done = command("meter", "sql", "--data", str(data), sql, "--format", "JSONEachRow", env=environment())
    assert done.returncode == 0, done.stderr
    return [json.loads(row) for row in done.stdout.splitlines()]


def eventually(what: str, check: Callable[[], bool], timeout_s: float, every_s: float = 0.02) -> None:
    """Return once `check` holds; fail after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s} s"
        time.sleep(every_s)


def started(words: list[str], env: dict[str, str], log_file: Path) -> subprocess.Popen[bytes]:
    """A program of the product in a process of its own, which ends with this one; its output goes to `log_file`."""
    with log_file.open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent(),
        )


class Worker:
    """A worker process with a log of its own."""

    def __init__(self, program: str, env: dict[str, str], log_file: Path) -> None:
        """`program` is `meter` or `aggregator`, or one with a command that is not `worker`: `meter payments`."""
        self.program = program
        words = program.split() if " " in program else [program, "worker"]
        self.log_file = log_file
        self._process = started(words, env, log_file)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has printed."""
        return self.log_file.read_text("utf-8", "replace")

    def ready(self, timeout_s: float = 60) -> str:
        """Wait for its word that it works; the URL of its metrics."""
        eventually(
            f"{self.program} is ready", lambda: self.ended() is not None or bool(_READY.search(self.log)), timeout_s
        )
        found = _READY.search(self.log)
        assert found, f"{self.program} ended with {self._process.returncode}: {self.log}"
        return found["url"]

    def metrics(self) -> str:
        """What Prometheus is told."""
        with urllib.request.urlopen(self.ready(), timeout=10) as response:
            return str(response.read().decode())

    def count(self, metric: str) -> float:
        """A metric, added up over its labels; 0 where it has not been counted yet."""
        values = re.findall(rf"^{metric}(?:\{{[^}}]*\}})? (\S+)$", self.metrics(), re.MULTILINE)
        return sum(float(value) for value in values)

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    def stopped(self) -> None:
        """See that it ends in order."""
        assert self._process.wait(STOP_S) == 0, self.log

    def pause(self) -> None:
        """Stop it where it stands: it loses its place in the group and does not know."""
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on with what it was doing."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it with -9, if it has not ended."""
        self._process.kill()
        self._process.wait()

    def ended(self) -> int | None:
        """How it ended, negative for the signal that did it; None while it runs."""
        return self._process.poll()


@dataclass
class Deployment:
    """Topics, tables and workers on one broker, with everything else under one directory."""

    broker: Broker
    data: Path
    variables: dict[str, str] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)
    _files: int = 0

    @property
    def env(self) -> dict[str, str]:
        """What an operator would set for this broker."""
        return environment(
            KAFKA_BOOTSTRAP_SERVERS=self.broker.bootstrap,
            KAFKA_IDEMPOTENT=str(self.broker.idempotent).lower(),
            KAFKA_SESSION_TIMEOUT_S="6" if _is_lasting(self.broker) else "2",
            CLICKHOUSE_DSN=f"chdb://{self.data}/clickhouse",
            **self.variables,
        )

    def do(self, *words: str) -> str:
        """Run a command that has to succeed; what it printed."""
        done = command(*words, env=self.env)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def start(self, program: str) -> Worker:
        """Start one more worker."""
        worker = Worker(program, self.env, self._new_file(f"{program}.log"))
        self.workers.append(worker)
        return worker

    def restart(self, worker: Worker) -> Worker:
        """Kill a worker with -9 and start another in its place."""
        worker.kill()
        self.workers.remove(worker)
        return self.start(worker.program)

    def produce(self, lines: Iterable[bytes]) -> None:
        """Write a feed as a bot runtime would, and move event time to its end."""
        feed = self._new_file("feed.ndjson")
        feed.write_bytes(b"".join(line + b"\n" for line in lines))
        self.do("meter", "produce", "--feed", str(feed), "--close")

    def drain(self) -> None:
        """Wait until everything produced has reached ClickHouse, then stop the workers in order."""
        self.do("meter", "drained", "--timeout", str(DRAIN_S))
        for worker in self.workers:
            worker.ask_to_stop()
        for worker in self.workers:
            worker.stopped()

    def _new_file(self, name: str) -> Path:
        self._files += 1
        return self.data / f"{self._files:02}-{name}"


@contextmanager
def deployed(broker: Broker, data: Path, **variables: str) -> Iterator[Deployment]:
    """Topics and tables for the length of a `with` block. No worker, and no topic on a lasting broker, outlives it."""
    deployment = Deployment(broker, data, variables)
    told = deployment.do("meter", "topics")
    assert "exists" not in told, f"the broker at {broker.bootstrap} already has topics of these names:\n{told}"
    try:
        deployment.do("aggregator", "migrate")
        yield deployment
    finally:
        for worker in deployment.workers:
            worker.kill()
        if _is_lasting(broker):
            asyncio.run(_delete_topics(broker.bootstrap))


def _is_lasting(broker: Broker) -> bool:
    """Whether it may belong to others: with an administrator's limits, and there when the test is over."""
    return broker.name == KAFKA and broker.local is None


async def _delete_topics(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([topic.name for topic in TOPICS])
    finally:
        await admin.close()
