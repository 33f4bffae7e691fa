"""The whole pipeline on this machine: embedded broker, embedded ClickHouse, one worker of each kind."""

import asyncio
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Protocol

import msgspec

from meter.ingest.feeder import Feeder, read_feeds
from meter.kafka.admin import create_topics, wait_drained
from meter.kafka.topics import Log
from meter.local.broker import EmbeddedBroker
from meter.local.processes import RunError, Worker, stoppable
from meter.settings import Settings
from meter.sql import CLICKHOUSE_DIR, data_dsn

MARKER: Final = "meter-data"
"""The file that says a directory is ours: it holds the lock while a run owns it."""

SESSION_TIMEOUT_S: Final = 2
"""The embedded broker admits a member only after half of this."""

DRAIN_S: Final = 24 * 3600.0


class Progress(Protocol):
    """What a run tells whoever watches it."""

    def phase(self, name: str, total: int | None) -> None:
        """A new phase begins; `total` is its size, if known."""

    def advance(self, amount: int) -> None:
        """The phase has come so much further."""

    def note(self, text: str) -> None:
        """What the phase is at now."""


@contextmanager
def claimed(data: Path) -> Iterator[None]:
    """Own a data directory for as long as the block lasts. Raises RunError if it is taken, foreign or unwritable.

    The embedded broker keeps nothing between runs, so what an earlier run left in ClickHouse is replaced with it.
    """
    try:
        data.mkdir(parents=True, exist_ok=True)
        foreign = any(data.iterdir()) and not (data / MARKER).exists()
    except OSError as error:
        raise RunError(f"{data} cannot be the data directory: {error.strerror}. Choose another with --data.") from error
    if foreign:
        raise RunError(f"{data} holds files that are not the meter's: choose an empty directory with --data")
    with (data / MARKER).open("a+") as marker:
        try:
            fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            marker.seek(0)
            owner = marker.read().strip() or "unknown"
            raise RunError(
                f"the data directory {data} is in use by another run (pid {owner}): stop it, or choose another"
            ) from None
        marker.truncate(0)
        marker.write(str(os.getpid()))
        marker.flush()
        shutil.rmtree(data / CLICKHOUSE_DIR, ignore_errors=True)
        yield


class Pipeline:
    """What runs: the broker's address and the workers."""

    def __init__(self, settings: Settings, workers: list[Worker]) -> None:
        self.settings = settings
        self.workers = workers

    def watch(self) -> None:
        """Start again whatever ended unasked."""
        for worker in self.workers:
            worker.watch()


@contextmanager
def pipeline(data: Path, settings: Settings) -> Iterator[Pipeline]:
    """Start everything under `data`, and stop it when the block ends."""
    with ExitStack() as stack:
        broker = stack.enter_context(EmbeddedBroker(data / "broker.log"))
        environment = _environment(broker.bootstrap, data)
        asyncio.run(create_topics(broker.bootstrap, settings.kafka_partitions, 1))
        _migrate(environment, data / "aggregator.log")
        workers: list[Worker] = []
        for name in ("aggregator", "meter"):
            worker = Worker(name, [name, "worker"], environment, data / f"{name}.log")
            workers.append(worker)
            stack.callback(worker.stop)
        yield Pipeline(_embedded(settings, broker.bootstrap), workers)


def _environment(bootstrap: str, data: Path) -> dict[str, str]:
    return os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "KAFKA_IDEMPOTENT": "false",
        "KAFKA_SESSION_TIMEOUT_S": str(SESSION_TIMEOUT_S),
        "CLICKHOUSE_DSN": data_dsn(data),
        "METRICS_PORT": "0",
    }


def _embedded(settings: Settings, bootstrap: str) -> Settings:
    return msgspec.structs.replace(settings, kafka_bootstrap_servers=bootstrap, kafka_idempotent=False)


def _migrate(environment: dict[str, str], log_file: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "aggregator", "migrate"], env=environment, capture_output=True, text=True, check=False
    )
    log_file.write_text(done.stdout + done.stderr)
    if done.returncode:
        raise RunError(f"the tables cannot be created: {done.stderr.strip()}")


def reconciled(data: Path) -> str:
    """Has the aggregator compare what it wrote under `data`; the line that says so. Raises RunError if it differs."""
    dsn = data_dsn(data)
    done = subprocess.run(
        [sys.executable, "-m", "aggregator", "reconcile", "--settle", "0", "--format", "json"],
        env=os.environ | {"CLICKHOUSE_DSN": dsn},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        told = done.stderr.strip() or "rows differ"
        raise RunError(f"{told}: see `CLICKHOUSE_DSN={dsn} python -m aggregator reconcile`")
    pairs: dict[str, int] = msgspec.json.decode(done.stdout)["pairs"]
    compared = dict.fromkeys(word for pair in pairs for word in pair.split("_"))
    return f"reconciled: {', '.join(compared)}: difference {sum(pairs.values())}"


def feed_and_drain(running: Pipeline, feeds: list[Path], progress: Progress, *, finish: bool) -> None:
    """Write the feeds and, if told to `finish`, move event time to their end and wait until ClickHouse has it all."""
    settings = running.settings
    progress.phase("feeding", sum(path.stat().st_size for path in feeds))
    stoppable(produce(settings, feeds, progress.advance, close=finish))
    if finish:
        progress.phase("metering", None)
        _drain(running, progress)


async def produce(settings: Settings, feeds: list[Path], on_bytes: Callable[[int], None], *, close: bool) -> int:
    """Write feeds to Kafka as bot runtimes and the console would; returns how many lines."""
    log = Log(settings.kafka_bootstrap_servers, idempotent=settings.kafka_idempotent)
    await log.start()
    try:
        feeder = Feeder(log, settings.policy())
        await feeder.feed(read_feeds(feeds, on_bytes))
        if close:
            await feeder.close()
        return feeder.written
    finally:
        await log.stop()


def _drain(running: Pipeline, progress: Progress) -> None:
    """Wait for the pipeline, and look after its workers meanwhile."""

    async def wait() -> None:
        bootstrap = running.settings.kafka_bootstrap_servers
        waiting = asyncio.create_task(
            wait_drained(bootstrap, DRAIN_S, lambda topic, left: progress.note(f"{topic}, {left} partitions to go"))
        )
        while not (await asyncio.wait([waiting], timeout=0.2))[0]:
            running.watch()
        if not await waiting:
            raise RunError(f"the feed was not metered within {DRAIN_S / 3600:g} h; the logs say where it stands")

    stoppable(wait())


def stay(running: Pipeline) -> None:
    """Look after the workers until the block's `Stopped` is raised."""
    while True:
        time.sleep(0.5)
        running.watch()
