"""`python -m meter`: what operators, analysts and newcomers type."""

import asyncio
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

import click

from meter import metrics
from meter import worker as app
from meter.cli import demo
from meter.cli import progress as show
from meter.cli.dead_letters import dead_letters_group
from meter.cli.errors import FAILED, refusals
from meter.ingest.feed_files import FeedError
from meter.ingest.produce import produce
from meter.kafka import admin
from meter.kafka.drained import wait_drained
from meter.kafka.topics import KafkaTopics
from meter.local import aggregator, processes
from meter.local import pipeline as run
from meter.local.data_directory import owned_data_directory
from meter.settings import Settings, load
from schemas.codecs import require_codecs

_ENVIRONMENT = """
\b
Environment (all of it optional):
  KAFKA_BOOTSTRAP_SERVERS   HOST:PORT[,HOST:PORT]     127.0.0.1:9092
  KAFKA_PARTITIONS          for `topics`              4
  KAFKA_REPLICATION_FACTOR  for `topics`              1
  KAFKA_IDEMPOTENT          idempotent producer       true
  KAFKA_SESSION_TIMEOUT_S   silence of a worker       10
  METRICS_HOST              where /metrics listens    127.0.0.1
  METRICS_PORT              0: first free from 9100   0
  METER_STAGES              sessionize or charge      sessionize,charge
  METER_CHECKPOINT_MS       how often state is saved  1000
  METER_LATE_HORIZON_H      how late events may be    24
  METER_UNKNOWN_WORKSPACE   provision or hold         provision
  METER_DEBIT_ORDER         free_first or paid_first  free_first
  METER_LOG_LEVEL           DEBUG to ERROR            WARNING
"""

_FEED = click.option(
    "--feed",
    "feeds",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A file of CloudEvents, one JSON object a line, .gz too; chat events and account commands mixed. "
    "Several are merged by time.",
)


@click.group(
    help="Meters chat events into conversations and sessions, and debits wallets.\n\n"
    "\b\n"
    "On this machine, nothing else needed:\n"
    "  python -m meter demo                                   the sample traffic\n"
    "  python -m meter run --feed FILE --data DIR --once      your own\n"
    '  python -m meter sql --data DIR "SELECT * FROM balances"\n'
    "\b\n"
    "In production, against Kafka and ClickHouse:\n"
    "  python -m meter topics; python -m aggregator migrate   once\n"
    "  python -m meter worker                                 as many as you like\n"
    "  python -m aggregator worker                            as many as you like\n"
    "  python -m meter produce --feed FILE --close            a feed, as a bot runtime\n"
    "  python -m meter drained --timeout 60                   all of it in ClickHouse?\n"
    "  python -m meter dead-letters list                      what was refused, and why",
    epilog=_ENVIRONMENT,
)
def main() -> None:
    """The group holds the commands; each says itself what it does."""
    # What the client would say of an error, a command says in one sentence.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


main.add_command(dead_letters_group)


@main.command("run")
@_FEED
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Directory for the embedded engines.")
@click.option("--once", is_flag=True, help="End when the feed is drained; event time moves to its end.")
def run_command(feeds: tuple[Path, ...], data: Path, once: bool) -> None:
    """Run the whole pipeline here, on an embedded broker and ClickHouse under DIR.

    Without --once it stays up and goes on reading its topics until it is stopped. The embedded broker keeps nothing:
    a new run on the same DIR starts from nothing and replaces the earlier results.
    """
    if once and not feeds:
        raise click.UsageError("--once needs a feed to come to the end of: add --feed FILE")
    with refusals():
        settings = load()
        _check_feeds(feeds)
        _run(settings, list(feeds), data, once=once)
        if once:
            aggregator.print_summary(data)
            click.echo(aggregator.reconciled(data))


@main.command("demo")
@click.option(
    "--data", type=click.Path(path_type=Path), default=Path("build/run"), help="Directory for the embedded engines."
)
def demo_command(data: Path) -> None:
    """Meter sample traffic on the embedded engines and show the result: what `make run` does."""
    with refusals():
        feeds = demo.sample_feeds()
        click.echo(f"Metering {', '.join(str(feed) for feed in feeds)}")
        _run(load(), feeds, data, once=True)
        aggregator.print_summary(data)
        click.echo(aggregator.reconciled(data) + "\n")
        demo.next_steps(data)


def _run(settings: Settings, feeds: list[Path], data: Path, *, once: bool) -> None:
    processes.stop_on_signals()
    with owned_data_directory(data), show.progress() as progress:
        progress.phase("starting", None)
        with run.pipeline(data, settings) as running:
            if not once:
                progress.say(f"broker at {running.settings.kafka_bootstrap_servers}, logs in {data}; stop with Ctrl-C")
            run.feed_and_drain(running, feeds, progress, finish=once)
            if not once:
                with suppress(processes.Stopped):
                    run.stay(running)


@main.command("sql")
@click.argument("query")
@click.option("--data", type=click.Path(path_type=Path), help="A data directory; else CLICKHOUSE_DSN is asked.")
@click.option(
    "--format",
    "output_format",
    default="PrettyCompact" if sys.stdout.isatty() else "CSVWithNames",
    help="CSVWithNames, JSONEachRow, PrettyCompact or any other of ClickHouse's. "
    "Default: a table on a terminal, else CSVWithNames.",
)
def sql_command(query: str, data: Path | None, output_format: str) -> None:
    """Ask ClickHouse, read-only.

    \b
    Tables: conversations, ledger, usage_daily, usage_monthly, balances, dead_letters.
    python -m meter sql --data DIR "SELECT day, sum(conversations) FROM usage_daily GROUP BY day ORDER BY day"
    """
    with refusals():
        environment = aggregator.environment_of(data) if data is not None else dict(os.environ)
        aggregator.hand_on(["sql", query, "--format", output_format], environment)


@main.command("worker")
def worker_command() -> None:
    """Sessionize and charge, until stopped (SIGTERM, Ctrl-C). Any number side by side share the partitions.

    METER_STAGES lets a worker do one of the two, so that each can be given as many workers as it needs. See that
    somebody does the other.
    """
    with refusals():
        settings = load()
        require_codecs()
        asyncio.run(admin.require_topics(settings.kafka_bootstrap_servers))
        asyncio.run(_require_log(settings))
        logging.getLogger("aiokafka").setLevel(logging.NOTSET)
        url = metrics.serve(settings.metrics_host, settings.metrics_port)
        lines = [f"meter ready, metrics at {url}"]
        app.run(settings, lambda: click.echo(lines.pop()) if lines else None)


async def _require_log(settings: Settings) -> None:
    """Before Faust starts, so that what the broker cannot do is told in a sentence."""
    log = KafkaTopics(settings.kafka_bootstrap_servers, idempotent=settings.kafka_idempotent)
    await log.start()
    await log.stop()


@main.command("topics")
def topics_command() -> None:
    """Create the topics that are missing. Safe to repeat."""
    with refusals():
        settings = load()
        created = asyncio.run(
            admin.create_topics(
                settings.kafka_bootstrap_servers, settings.kafka_partitions, settings.kafka_replication_factor
            )
        )
        for topic, is_new in created:
            click.echo(f"{'created' if is_new else 'exists '}  {topic.name:20}{topic.purpose}")


@main.command("produce")
@_FEED
@click.option(
    "--close", is_flag=True, help="Then move event time to the feed's end, so that every conversation closes."
)
def produce_command(feeds: tuple[Path, ...], close: bool) -> None:
    """Write a feed to Kafka as bot runtimes and the console would."""
    if not feeds:
        raise click.UsageError("nothing to produce: add --feed FILE")
    with refusals():
        settings = load()
        _check_feeds(feeds)
        asyncio.run(admin.require_topics(settings.kafka_bootstrap_servers))
        with show.progress() as progress:
            progress.phase("producing", sum(path.stat().st_size for path in feeds))
            written = asyncio.run(produce(settings, list(feeds), progress.advance, close=close))
    click.echo(f"{written} lines written")


@main.command("drained")
@click.option("--timeout", "timeout_s", type=float, default=60.0, show_default=True, help="Seconds to wait at most.")
def drained_command(timeout_s: float) -> None:
    """Exit with 0 once everything produced has reached ClickHouse, with 1 if it has not in time.

    Judged by the committed offsets of both groups, so it works beside running workers.
    """
    with refusals():
        settings = load()
        waiting: dict[str, str] = {}
        done = asyncio.run(
            wait_drained(
                settings.kafka_bootstrap_servers,
                timeout_s,
                lambda topic, count: waiting.update(on=f"{topic} ({count} partitions)"),
            )
        )
    if not done:
        click.echo(f"not drained after {timeout_s:g} s: still reading {waiting.get('on', 'nothing')}", err=True)
        sys.exit(FAILED)
    click.echo("drained")


def _check_feeds(feeds: tuple[Path, ...]) -> None:
    """Before anything is started."""
    for feed in feeds:
        if not feed.is_file() or not os.access(feed, os.R_OK):
            raise FeedError(f"the feed {feed} cannot be read: no such file. Give the path of a file of events.")
