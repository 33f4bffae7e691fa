"""The whole pipeline on this machine: embedded broker, embedded ClickHouse, one worker of each kind."""

import asyncio
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import msgspec

from meter.admin import create_topics, wait_drained
from meter.embedded import EmbeddedBroker, die_with_parent
from meter.feed import Feeder, read_feeds
from meter.log import Log
from meter.settings import Settings
from meter.sql import CLICKHOUSE_DIR, data_dsn

T = TypeVar("T")

MARKER: Final = "meter-data"
"""The file that says a directory is ours: it holds the lock while a run owns it."""

SESSION_TIMEOUT_S: Final = 2
"""The embedded broker admits a member only after half of this."""

STOP_S: Final = 30.0
DRAIN_S: Final = 24 * 3600.0
QUICK_END_S: Final = 5.0
QUICK_ENDS: Final = 5
"""A worker that ends this often, each time so soon after its start, will not get better by another start."""


class RunError(Exception):
    """The run cannot go on; the message says why and what to do."""


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


class _Worker:
    """A worker process that is started again when it ends unasked: a crash is meant to be survived."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], log_file: Path) -> None:
        self.name = name
        self.quick_ends = 0
        self.log_file = log_file
        self._command = command
        self._environment = environment
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        self._started_at = time.monotonic()
        with self.log_file.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *self._command],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent(),
            )

    def watch(self) -> None:
        """Start it again if it has ended. Raises RunError when it keeps ending."""
        status = self._process.poll()
        if status is None:
            return
        ended_soon = time.monotonic() - self._started_at < QUICK_END_S
        self.quick_ends = self.quick_ends + 1 if ended_soon else 0
        if self.quick_ends >= QUICK_ENDS:
            raise RunError(f"the {self.name} worker keeps ending (status {status}); its log is {self.log_file}")
        self._process = self._start()

    def stop(self) -> None:
        """End it and wait: politely, then not."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Pipeline:
    """What runs: the broker's address and the workers."""

    def __init__(self, settings: Settings, workers: list[_Worker]) -> None:
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
        workers: list[_Worker] = []
        for name in ("aggregator", "meter"):
            worker = _Worker(name, [name, "worker"], environment, data / f"{name}.log")
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


class Stopped(BaseException):
    """SIGTERM or Ctrl-C: everything that was started is to be stopped."""


def stop_on_signals() -> None:
    """Let SIGTERM and Ctrl-C raise `Stopped` in the main thread, where no event loop runs."""

    def stop(*_: object) -> None:
        _ignore_signals()
        raise Stopped

    for number in _SIGNALS:
        signal.signal(number, stop)


def stoppable(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end. A signal cancels it and raises `Stopped`: raised inside, it would hit any task."""

    async def run() -> T:
        task = asyncio.current_task()
        assert task is not None
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await work

    try:
        result = asyncio.run(run())
    except asyncio.CancelledError:
        _ignore_signals()
        raise Stopped from None
    stop_on_signals()
    return result


def _ignore_signals() -> None:
    """Once is enough: stopping takes its time, and leaves nothing behind if it is let."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
