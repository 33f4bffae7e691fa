"""The whole pipeline on this machine: an embedded broker, an embedded ClickHouse, one worker of each kind."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Protocol

import msgspec

from meter.ingest.produce import produce
from meter.kafka.admin import create_topics
from meter.kafka.drained import wait_drained
from meter.local import aggregator
from meter.local.broker import EmbeddedBroker
from meter.local.data_directory import data_dsn
from meter.local.processes import RunError, Worker, stoppable
from meter.settings import Settings

SESSION_TIMEOUT_S: Final = 2
"""The session timeout of a run's workers. The embedded broker admits a member only after half of it."""

_WORKERS: Final = {
    "aggregator": ["aggregator", "worker"],
    "meter": ["meter", "worker"],
    "payments": ["meter", "payments"],
}
"""Name -> command. METER_PAYMENTS names the gateway; by default it is the sandbox."""

DRAIN_S: Final = 24 * 3600.0
"""How long a run waits until its feed has reached ClickHouse."""


class Progress(Protocol):
    """A run reports its progress here. `meter/cli/progress.py` displays it."""

    def phase(self, name: str, total: int | None) -> None:
        """Called when a new phase begins, which ends the one before. `total` is its size in bytes, None if unknown."""

    def advance(self, count: int) -> None:
        """Called each time that the phase has read `count` more bytes. A phase without a size does not advance."""

    def note(self, text: str) -> None:
        """Called, any number of times, with the step at which the phase is now."""


class Pipeline:
    """A running pipeline: settings with the address of its broker, and its workers."""

    def __init__(self, settings: Settings, workers: list[Worker]) -> None:
        self.settings = settings
        self.workers = workers

    def watch(self) -> None:
        """Start every worker again that has ended. Raises RunError if one keeps ending."""
        for worker in self.workers:
            worker.watch()


@contextmanager
def pipeline(data: Path, settings: Settings) -> Iterator[Pipeline]:
    """Start broker, tables and workers, and stop them when the block ends, the broker last.

    Logs and tables are written below `data`, which the caller owns. Raises EmbeddedBrokerError or RunError.
    """
    with ExitStack() as stack:
        broker = stack.enter_context(EmbeddedBroker(data / "broker.log"))
        environment = _environment(broker.bootstrap, data)
        asyncio.run(create_topics(broker.bootstrap, settings.kafka_partitions, 1))
        aggregator.migrate(environment, data / "aggregator.log")
        workers: list[Worker] = []
        for name, command in _WORKERS.items():
            worker = Worker(name, command, environment, data / f"{name}.log")
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


def feed_and_drain(running: Pipeline, feeds: list[Path], progress: Progress, *, finish: bool) -> None:
    """Write the feeds. With `finish`, also close every conversation, and wait until ClickHouse has all results.

    Raises FeedError if a feed cannot be read, RunError if a worker keeps ending, and `Stopped` at a signal.
    """
    settings = running.settings
    progress.phase("feeding", sum(path.stat().st_size for path in feeds))
    stoppable(produce(settings, feeds, progress.advance, close=finish))
    if finish:
        progress.phase("metering", None)
        _drain(running, progress)


def _drain(running: Pipeline, progress: Progress) -> None:
    """Wait until ClickHouse has all results, and meanwhile start workers again that have ended."""

    async def wait() -> None:
        bootstrap = running.settings.kafka_bootstrap_servers
        waiting = asyncio.create_task(
            wait_drained(
                bootstrap,
                DRAIN_S,
                lambda topic, left: progress.note(f"{topic}, {left} partitions to go"),
                with_payments=True,
            )
        )
        while not (await asyncio.wait([waiting], timeout=0.2))[0]:
            running.watch()
        if not await waiting:
            raise RunError(f"the feed was not metered within {DRAIN_S / 3600:g} h; the logs say where it stands")

    stoppable(wait())


def stay(running: Pipeline) -> None:
    """Start workers again that have ended, until a signal raises `Stopped`."""
    while True:
        time.sleep(0.5)
        running.watch()
