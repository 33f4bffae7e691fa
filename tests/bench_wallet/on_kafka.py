"""The same through a real worker on a real Kafka, the broker on one core and the worker on another."""

import asyncio
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import click

from meter.kafka.records import Record
from meter.kafka.topics import KafkaTopics
from schemas.topics import WALLET_INPUTS
from tests.bench_wallet.records import LOADS, records
from tests.brokers import KAFKA, Broker, running_broker, why_no_kafka
from tests.integration.processes import Worker, deployed, eventually

TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
LIMIT_S: Final = 300
EVERY_S: Final = 0.05
CHUNK: Final = 10_000


class Run(NamedTuple):
    """How many inputs a worker read between two looks, in wall time and CPU time."""

    inputs: float
    wall_s: float
    cpu_s: float


def through_kafka(inputs: int, rounds: int, seed: int) -> None:
    """Measure each load and print medians. Raises ClickException where it cannot be done."""
    if why := why_no_kafka():
        raise click.ClickException(why)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise click.ClickException("two cores are needed, one for the broker: run it on a larger machine")
    found: dict[str, list[Run]] = {name: [] for name in LOADS}
    for number in range(rounds):
        for name, runs in found.items():
            print(f"round {number + 1}, {name} ...", flush=True)
            runs.append(_run(name, inputs, seed, cores))
    for name, runs in found.items():
        print(
            f"{name}: {median(run.inputs / run.wall_s for run in runs):,.0f} inputs/s, "
            f"{median(run.inputs / run.cpu_s for run in runs):,.0f} inputs a second of CPU time"
        )


def _run(load: str, inputs: int, seed: int, cores: list[int]) -> Run:
    """All inputs lie in one partition before the worker starts."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        os.sched_setaffinity(0, cores[:1])  # What is started inherits it.
        with (
            running_broker(KAFKA, Path(directory)) as broker,
            deployed(broker, Path(directory), KAFKA_PARTITIONS="1", METER_CHECKPOINT_MS="1000") as deployment,
        ):
            asyncio.run(_fill(broker, load, inputs, seed))
            os.sched_setaffinity(0, cores[1:])
            worker = deployment.start("meter")
            os.sched_setaffinity(0, cores)
            return _watch(worker, inputs)


async def _fill(broker: Broker, load: str, inputs: int, seed: int) -> None:
    log = KafkaTopics(broker.bootstrap, idempotent=broker.idempotent)
    await log.start()
    made = records(load, inputs, seed)
    for start in range(0, inputs, CHUNK):
        part = [Record(record.key, record.value) for record in made[start : start + CHUNK]]
        await log.write(WALLET_INPUTS.name, 0, part)
    await log.stop()


def _watch(worker: Worker, inputs: int) -> Run:
    """From when it is at work until everything is read; what it did in the first moment is not counted."""
    worker.ready()

    def read() -> float:
        return worker.count("meter_batch_records_sum")

    eventually("the worker reads", lambda: read() > 0, LIMIT_S, EVERY_S)
    before, began_s, began_cpu_s = read(), time.monotonic(), _cpu_s(worker.pid)
    eventually("everything is read", lambda: read() >= inputs, LIMIT_S, EVERY_S)
    return Run(inputs - before, time.monotonic() - began_s, _cpu_s(worker.pid) - began_cpu_s)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND
