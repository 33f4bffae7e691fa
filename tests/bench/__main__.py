"""`make bench`: how fast the meter is, and everyone else on the same topic."""

import logging
import sys
from pathlib import Path

import click

from meter.cli.progress import show_progress
from tests.bench import table
from tests.bench.audit import WrongCountError
from tests.bench.contenders.streams import BuildError
from tests.bench.roster import Contender, roster
from tests.bench.run import BenchError, Plan, bench
from tests.kafka import local_kafka
from tests.kafka.jars import LocalKafkaError

FULL = Plan({1_000: 3_000_000, 100_000: 3_000_000, 1_000_000: 7_500_000}, 3, 600, 45, is_quick=False)
QUICK = Plan({1_000: 500_000, 100_000: 500_000}, 1, 20, 12, is_quick=True)
NAMES = [contender.name for contender in roster()]


@click.command(
    help="Measures how many events a second one worker meters on one core, on a real Apache Kafka of its own, beside "
    "RAW, which reads the same topic and parses its JSON and does nothing else, and beside what others would use.\n\n"
    "\b\n"
    "python -m tests.bench                                  everything: about an hour\n"
    "python -m tests.bench --quick                          less of it: about 3 minutes\n"
    "python -m tests.bench --keys 1000000 --rounds 1 --only raw --only meter --only streams\n\n"
    "Whoever is far slower than the others has its time limited: its speed is that over what it took, and a star says "
    "so. Every run is checked: each message has to be in a conversation, and a whole feed's conversations are known.",
    epilog="Prints a table for each number of keys and writes build/bench.json. Exit 1 if a contender has not done the "
    "work that it was measured for.",
)
@click.option("--quick", is_flag=True, help="One round of 500,000 events with 1,000 and with 100,000 keys.")
@click.option(
    "--keys", "wanted_keys", type=click.IntRange(1), multiple=True, help="Only so many keys; can be repeated."
)
@click.option("--events", type=click.IntRange(1_000), help="How many events each feed has.")
@click.option("--rounds", type=click.IntRange(1), help="How often everyone runs on each feed.")
@click.option("--only", type=click.Choice(NAMES), multiple=True, help="Only this contender; can be repeated.")
@click.option("--limit", "limit_s", type=click.FloatRange(1), help="Seconds that RAW and the meter may run.")
@click.option("--peers", "peers_s", type=click.FloatRange(1), help="Seconds that everyone else may run.")
@click.option("--seed", default=1, show_default=True, help="Of the feeds.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("build/bench.json"), show_default=True)
def main(
    quick: bool,
    wanted_keys: tuple[int, ...],
    events: int | None,
    rounds: int | None,
    only: tuple[str, ...],
    limit_s: float | None,
    peers_s: float | None,
    seed: int,
    out: Path,
) -> None:
    """Measures, shows, writes."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # It repeats what fails while topics are being made.
    if not Path("/proc/self/status").exists():
        raise click.ClickException("memory is read from /proc, which this system does not have: run it on Linux")
    if reason := local_kafka.why_unavailable():
        raise click.ClickException(f"a real Apache Kafka is needed: {reason}")
    usual = QUICK if quick else FULL
    feeds = {keys: events or usual.feeds.get(keys, max(usual.feeds.values())) for keys in wanted_keys or usual.feeds}
    plan = Plan(
        feeds, rounds or usual.rounds, limit_s or usual.limit_s, peers_s or usual.peers_s, is_quick=quick, seed=seed
    )
    try:
        with show_progress() as shown:
            results = bench(plan, _chosen(only), shown, lambda so_far: so_far.write(out))
    except (BenchError, BuildError, WrongCountError, LocalKafkaError) as error:
        click.echo(f"bench: {error}", err=True)
        sys.exit(1)
    results.write(out)
    table.show(results)
    click.echo(f"* as much as it took in its time. All figures and every run: {out}")


def _chosen(only: tuple[str, ...]) -> tuple[Contender, ...]:
    return tuple(contender for contender in roster() if not only or contender.name in only)


if __name__ == "__main__":
    main()
