"""`python -m tests.scale`: the same feed by 1, 2 and 4 workers, what each event cost, and how long a restore takes."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import click

from meter.cli.progress import show_progress
from schemas.topics import CHAT_EVENTS, METER_GROUP
from tests.bench import loading, offsets
from tests.bench.feed import Feed
from tests.bench.task import PARTITIONS
from tests.integration.processes import Worker, environment, eventually
from tests.kafka.local_kafka import LocalKafka

_TICKS: Final = os.sysconf("SC_CLK_TCK")
READ_S: Final = 900.0
SETTLE_S: Final = 60.0


class Cost(NamedTuple):
    """What one feed took with so many workers."""

    workers: int
    wall_s: float
    cpu_s: float


class Restored(NamedTuple):
    """What a worker that begins with all partitions restores."""

    seconds: float
    """From the assignment until it has the last partition's state."""
    partition_seconds: float
    """Of these for reading the state, all partitions added up."""
    interactions: int


@click.command(
    help="Starts a Kafka, writes chat events of KEYS interactions, and lets 1, 2 and 4 workers sessionize them, each "
    "time anew. Prints the CPU seconds of a million events, which should not depend on how many workers share them. "
    "Then all workers are killed and one begins again: how long until it has all state."
)
@click.option("--keys", default=1_000_000, show_default=True, help="Live interactions.")
@click.option("--events", default=7_500_000, show_default=True)
@click.option("--workers", default=(1, 2, 4), show_default=True, multiple=True, help="So many; can be repeated.")
@click.option("--rounds", default=1, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(keys: int, events: int, workers: tuple[int, ...], rounds: int, seed: int) -> None:
    """Measures and prints."""
    with (
        tempfile.TemporaryDirectory(prefix="scale-") as name,
        LocalKafka(Path(name) / "kafka") as kafka,
        show_progress() as shown,
    ):
        shown.phase(f"{keys:,} keys: writing {events:,} events", events)
        loading.load(kafka.bootstrap, Feed(keys, events, seed), shown.advance)
        env = environment(KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap, METER_STAGES="sessionize")
        costs: list[Cost] = []
        for number in range(1, rounds + 1):
            for count in workers:
                shown.phase(f"round {number} of {rounds}: {count} workers", None)
                offsets.renew(kafka.bootstrap)
                with _running(env, Path(name), count) as fleet:
                    costs.append(_read(kafka.bootstrap, fleet))
        shown.phase("restoring", None)
        with _running(env, Path(name), 1) as (worker,):
            restored = _restored(worker)
    _print(costs, workers, events)
    print(
        f"restore: {restored.interactions:,} interactions in {restored.seconds:.1f} s, "
        f"{restored.partition_seconds:.1f} s of it for reading their state"
    )


@contextmanager
def _running(env: dict[str, str], directory: Path, count: int) -> Iterator[list[Worker]]:
    """So many workers, killed at the end: what they have not saved is lost, as after a crash."""
    fleet = [Worker("meter", env, directory / f"worker-{number}.log") for number in range(count)]
    try:
        yield fleet
    finally:
        for worker in fleet:
            worker.kill()


def _read(bootstrap: str, fleet: list[Worker]) -> Cost:
    """From the first assignment until everything is committed; what it costs to start a process is left out."""
    before_s = 0.0
    for worker in fleet:
        worker.ready()
        before_s += _cpu_s(worker)
    started_s = time.monotonic()
    deadline_s = started_s + READ_S
    while left := offsets.uncommitted(bootstrap, METER_GROUP, CHAT_EVENTS.name):
        ended = [worker.log for worker in fleet if worker.ended() is not None]
        if ended or time.monotonic() > deadline_s:
            raise click.ClickException(f"{left:,} events are left\n{''.join(ended)[-1500:]}")
        time.sleep(0.25)
    return Cost(len(fleet), time.monotonic() - started_s, sum(map(_cpu_s, fleet)) - before_s)


def _cpu_s(worker: Worker) -> float:
    fields = Path(f"/proc/{worker.pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _restored(worker: Worker) -> Restored:
    worker.ready()
    started_s = time.monotonic()
    eventually("all state is restored", lambda: worker.count("meter_restore_seconds_count") >= PARTITIONS, SETTLE_S)
    seconds = time.monotonic() - started_s
    return Restored(seconds, worker.count("meter_restore_seconds_sum"), int(worker.count("meter_live_interactions")))


def _print(costs: list[Cost], workers: tuple[int, ...], events: int) -> None:
    one_s = median(cost.cpu_s for cost in costs if cost.workers == workers[0])
    print(f"{'workers':>7}  {'s':>6}  {'CPU s':>6}  {'CPU s a million':>15}  x {workers[0]} worker")
    for count in workers:
        cpu_s = median(cost.cpu_s for cost in costs if cost.workers == count)
        wall_s = median(cost.wall_s for cost in costs if cost.workers == count)
        print(f"{count:>7}  {wall_s:6.1f}  {cpu_s:6.1f}  {1e6 * cpu_s / events:15.2f}  {cpu_s / one_s:.2f}")


if __name__ == "__main__":
    main()
