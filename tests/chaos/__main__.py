"""`python -m tests.chaos`: what `make chaos` does."""

import logging
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path
from typing import Final

import click

from tests.chaos.plan import plan_of
from tests.chaos.rounds import Report, run_round
from tests.kafka import local_kafka
from tests.kafka.jars import LocalKafkaError
from tests.kafka.local_kafka import LocalKafka

_DIFFERS: Final = 1
_NO_KAFKA: Final = 2
_SHOWN: Final = 10


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="How many rounds.")
@click.option("--size", type=click.IntRange(10), default=3_000, show_default=True, help="Chat events in each round.")
@click.option("--seed", type=int, default=1, show_default=True, help="That of the first round; each has one more.")
def main(rounds: int, size: int, seed: int) -> None:
    """Meter feeds with real workers on a real Apache Kafka while things go wrong, and compare every row of the result
    with an independent, naive computation.

    Each round starts two or three meter workers, one or two aggregators and a ClickHouse of its own, and writes a
    disordered feed slice by slice, with records among it that nobody can read. Meanwhile workers are killed (-9),
    stopped, paused beyond their session, joined by others; ClickHouse is killed and paused; in every fifth round the
    broker is killed. Topics get other settings, which are repaired, and workers are started with other ones; those that
    contradict the policy must be refused. In 40 of 100 rounds an operator acts once: a topic is deleted and created
    again, or ClickHouse is emptied or replaced by an older copy. Workers must refuse, and the command that they name
    goes on. When all of it is metered, conversations, units, ledger, days, months, balances and dead letters
    are held against the oracle (tests/oracle).

    \b
    A line a round:
      round    its number      seed      what it was drawn from
      events   records written, repeats and broken ones included
      ...      faults, how many of each kind
      ended    exit codes of workers that ended by themselves and were started
               again: 70 after an error, 1 where a server was away at the start,
               1 or 78 while a topic had another setting
      differs  rows that differ, either way

    A round that differs shows the first rows and keeps its files. The same round again, faults and all:

      python -m tests.chaos --rounds 1 --seed SEED --size SIZE

    The moments of a process are its own, so a replay does the same things and need not meet the same race. Exit code: 0
    if nothing differs, 1 if something does, 2 if there is no Kafka to be had here.
    """
    if why := local_kafka.why_unavailable():
        click.echo(f"chaos needs an Apache Kafka of its own to kill: {why}", err=True)
        sys.exit(_NO_KAFKA)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # It would tell of every broker that was killed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    directory = Path(tempfile.mkdtemp(prefix="chaos-"))
    events, kills, difference = 0, 0, 0
    try:
        with LocalKafka(directory / "kafka") as kafka:
            for number in range(rounds):
                report = _round(kafka, number + 1, rounds, seed + number, size, directory)
                events += report.events
                kills += sum(number for kind, number in report.faults.items() if "kill" in kind)
                difference += len(report.differences)
    finally:
        shutil.rmtree(directory / "kafka", ignore_errors=True)
        if not any(directory.iterdir()):
            directory.rmdir()
    click.echo(f"chaos: {rounds} rounds, {events} events, {kills} kills, difference {difference}")
    sys.exit(_DIFFERS if difference else 0)


def _round(kafka: LocalKafka, number: int, rounds: int, seed: int, size: int, directory: Path) -> Report:
    """Play one round and tell of it."""
    files = directory / f"seed-{seed}"
    _have_running(kafka)
    try:
        report = run_round(kafka, plan_of(seed, size), size, files)
    except Exception as error:  # One round less is no reason to go without the others.
        files.mkdir(exist_ok=True)
        (files / "traceback.txt").write_text(traceback.format_exc())
        report = Report(0, differences=[f"the round broke off: {error!r}"])
    click.echo(
        f"round {number}/{rounds}  seed {seed}  {report.events} events  {_told(report.faults)}  "
        f"ended {_told(report.crashes) or 'none'}  {report.seconds:.1f} s  differs {len(report.differences)}"
    )
    for reason in report.reasons:
        click.echo(f"  {reason[:500]}")
    if report.differences:
        for line in report.differences[:_SHOWN]:
            click.echo(f"  {line[:500]}")
        click.echo(f"  all of them, the feed, logs and topics are kept in {files}")
    else:
        shutil.rmtree(files)
    return report


def _have_running(kafka: LocalKafka) -> None:
    """A round that broke off may have left it down."""
    try:
        _ = kafka.pid
    except LocalKafkaError:
        kafka.start()


def _told(counts: Counter[str] | Counter[int]) -> str:
    return ", ".join(f"{count} x {what}" for what, count in sorted(counts.items(), key=str))


if __name__ == "__main__":
    main(prog_name="python -m tests.chaos")
