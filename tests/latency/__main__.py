"""`python -m tests.latency`: real workers on a real Kafka at a steady rate, and how long what they do takes."""

import asyncio
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from aggregator.clickhouse.client import ClickHouse
from aggregator.clickhouse.migrate import apply
from meter.kafka.topics import KafkaTopics
from tests.brokers import KAFKA, Broker, running_broker, why_no_kafka
from tests.chaos.clickhouse import Server
from tests.chaos.fleet import Fleet
from tests.integration.processes import command, environment
from tests.latency.histograms import Counts, Percentiles, between, counts_of, of_samples
from tests.latency.observer import Observer
from tests.latency.traffic import Traffic

HISTOGRAMS: Final = {
    "event to debit": ("meter", "meter_event_to_debit_seconds"),
    "event to used-up credit": ("meter", "meter_event_to_used_up_seconds"),
    "event to ClickHouse": ("aggregator", "aggregator_event_to_clickhouse_seconds"),
}
AFTER_S: Final = 5.0
"""For what is on its way when the last event is written."""


@click.command(
    help="Starts a Kafka, ClickHouse's engine, a meter worker and an aggregator worker, writes chat events at a steady "
    "rate, and prints how long it took from an event's Kafka timestamp to its update on the ledger topic, to the one "
    "that leaves its workspace without credit, to the record that suspends a bot of it, and to its rows in ClickHouse: "
    "by the workers' histograms and as an independent reader saw it."
)
@click.option("--rate", default=10_000, show_default=True, help="Chat events a second.")
@click.option("--seconds", default=30.0, show_default=True, help="How long is measured.")
@click.option("--warm", default=10.0, show_default=True, help="How long is not, before.")
@click.option("--workspaces", default=1_000, show_default=True)
@click.option("--meters", default=1, show_default=True, help="Meter workers.")
@click.option("--join", is_flag=True, help="One more meter worker joins when a third of that time is over.")
@click.option("--seed", default=1, show_default=True)
def main(rate: int, seconds: float, warm: float, workspaces: int, meters: int, seed: int, *, join: bool) -> None:
    """Starts, measures, prints."""
    if why := why_no_kafka():
        raise click.ClickException(why)
    with tempfile.TemporaryDirectory(prefix="latency-") as name, running_broker(KAFKA, Path(name)) as broker:
        directory = Path(name)
        clickhouse = Server(directory / "clickhouse")
        env = environment(KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap, CLICKHOUSE_DSN=clickhouse.dsn)
        fleet = Fleet(env | {key: os.environ[key] for key in ("AGGREGATOR_FLUSH_MS",) if key in os.environ}, directory)
        try:
            clickhouse.start()
            with ClickHouse(clickhouse.dsn) as tables:
                apply(tables)
            made = command("meter", "topics", env=env)
            if made.returncode:
                raise click.ClickException(made.stderr)
            for program in ["meter"] * meters + ["aggregator"]:
                fleet.start(program)
            fleet.ready()
            join_s = warm + seconds / 3 if join else None
            asyncio.run(_measure(broker, clickhouse, fleet, Traffic(rate, workspaces, seed), warm, seconds, join_s))
        finally:
            fleet.kill_all()
            clickhouse.kill()


async def _measure(
    broker: Broker,
    clickhouse: Server,
    fleet: Fleet,
    traffic: Traffic,
    warm: float,
    seconds: float,
    join_s: float | None,
) -> None:
    log = KafkaTopics(broker.bootstrap, idempotent=broker.idempotent)
    await log.start()
    with ClickHouse(clickhouse.dsn) as tables:
        observer = Observer(broker.bootstrap, tables)
        watching = [
            asyncio.create_task(each)
            for each in (observer.read_ledger(), observer.read_entitlements(), observer.ask_clickhouse())
        ]
        feeding = asyncio.create_task(traffic.run(log, warm + seconds))
        joined = asyncio.create_task(_join(fleet, join_s)) if join_s is not None else None
        await asyncio.sleep(warm)
        before, from_ms = await asyncio.to_thread(_look, fleet), time.time() * 1000
        print(f"measuring for {seconds:g} s ...", flush=True)
        events = await feeding
        if joined:
            await joined
        await asyncio.sleep(AFTER_S)
        after = await asyncio.to_thread(_look, fleet)
        for task in watching:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    await log.stop()
    seen = (observer.to_debit_ms(from_ms), observer.to_used_up_ms(from_ms), observer.to_clickhouse_ms(from_ms))
    print(f"{events:,} events in {warm + seconds:g} s; the feeder was late by {traffic.late_s * 1000:.0f} ms at most")
    for what, samples_ms in zip(HISTOGRAMS, seen, strict=True):
        print(f"{what}: by the workers {_told(between(before[what], after[what]))}")
        print(f"{what}: by the observer {_told(of_samples(samples_ms))}")
    print(f"event to suspended bot: by the observer {_told(of_samples(observer.to_suspended_ms(from_ms)))}")


async def _join(fleet: Fleet, after_s: float) -> None:
    await asyncio.sleep(after_s)
    started_s = time.monotonic()
    await asyncio.to_thread(fleet.start("meter").ready)
    print(f"one more worker has partitions after {time.monotonic() - started_s:.1f} s", flush=True)


def _told(found: Percentiles | None) -> str:
    return "nothing" if found is None else str(found)


def _look(fleet: Fleet) -> dict[str, Counts]:
    """What the histograms hold now, added up over the workers."""
    found: dict[str, Counts] = {}
    for what, (program, name) in HISTOGRAMS.items():
        found[what] = {}
        for worker in fleet.those_of(program):
            for bound, count in counts_of(worker.metrics(), name).items():
                found[what][bound] = found[what].get(bound, 0) + count
    return found


if __name__ == "__main__":
    main()
