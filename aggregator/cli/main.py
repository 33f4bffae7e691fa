"""`python -m aggregator`: the commands that create, fill, check and read the tables."""

import sys
from collections.abc import Callable
from typing import get_args

import click

from aggregator import metrics
from aggregator.cli import rebuild
from aggregator.cli.errors import refusals
from aggregator.cli.summary import print_summary
from aggregator.clickhouse import migrate, read_only
from aggregator.clickhouse.client import ClickHouse
from aggregator.reconciliation import report
from aggregator.settings import load
from aggregator.writer import worker
from schemas.codecs import require_codecs
from schemas.exit_statuses import FAILED
from schemas.terminal import print_any_text

_ENVIRONMENT = """
\b
Environment (all of it optional; the last word is the default):
  KAFKA_BOOTSTRAP_SERVERS  HOST:PORT[,HOST:PORT]  127.0.0.1:9092
  CLICKHOUSE_DSN           a server's, or chdb:///DIR for the engine in this
                           process on the absolute directory DIR
                           clickhouse://default@127.0.0.1:8123/default
  METRICS_HOST             address that serves /metrics  127.0.0.1
  METRICS_PORT             its port; 0 for the first free one from 9102 up  0
  AGGREGATOR_FLUSH_MS      milliseconds that rows wait for other rows, so that
                           they are inserted together  500
  AGGREGATOR_RECONCILE_S   seconds between two looks of a worker at whether
                           everything adds up; 0 for never  60
  KAFKA_SESSION_TIMEOUT_S  seconds of silence after which other workers take
                           over the partitions of this one  10
"""


@click.group(epilog=_ENVIRONMENT)
def main() -> None:
    """Read what the meter wrote to Kafka, and keep the tables and views of ClickHouse: conversations, ledger,
    usage_daily, usage_monthly, balances, dead_letters.

    Run `migrate` first, then any number of `worker`s, up to the number of partitions. `reconcile` checks at any time
    whether all figures agree. `summary` shows them by workspace, and `sql` answers your own queries.

    \b
    Examples:
      python -m aggregator migrate
      python -m aggregator worker
      python -m aggregator reconcile
      python -m aggregator COMMAND --help
    """
    print_any_text()


@main.command("migrate", epilog=_ENVIRONMENT)
def migrate_command() -> None:
    """Create the tables, or change them to what this version needs. Safe to repeat.

    Prints the name of each migration that was applied. Run it once, and again after each upgrade, before the workers.

    \b
    Example:
      CLICKHOUSE_DSN=clickhouse://default@127.0.0.1:8123/default \\
        python -m aggregator migrate
    """
    with refusals(), ClickHouse(load().clickhouse_dsn) as clickhouse:
        applied = migrate.apply(clickhouse)
    for migration in applied:
        click.echo(f"applied {migration.name}")
    if not applied:
        click.echo("the tables are up to date")


@main.command("worker", epilog=_ENVIRONMENT)
def worker_command() -> None:
    """Write from Kafka to ClickHouse until stopped (SIGTERM, Ctrl-C).

    Starts only if ClickHouse, its tables, Kafka and the topics are there. Workers share the partitions of the topics,
    so any number of them can run, up to the number of partitions. A data directory (chdb:///DIR) allows one worker.

    \b
    Example:
      KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:9092 python -m aggregator worker
    """
    with refusals():
        settings = load()
        require_codecs()
        with ClickHouse(settings.clickhouse_dsn) as clickhouse:
            migrate.require(clickhouse)
            metrics.CLICKHOUSE_UP.set(1)
            url = metrics.serve(settings.metrics_host, settings.metrics_port)
            worker.run(settings, clickhouse, _once(f"aggregator ready, metrics at {url}"))


@main.command("rebuild", epilog=_ENVIRONMENT)
@click.option("--from-start", is_flag=True, help="Delete all rows first, also where ClickHouse could be gone on with.")
@click.option(
    "--keep-rows",
    is_flag=True,
    help="Keep rows of earlier topics: where ledger, dead-letters or event-counts was created again, and the wallets "
    "have gone on. Never after `python -m meter begin-anew`.",
)
@click.option("--yes", is_flag=True, help="Do it. Without this the command only says what it would do.")
def rebuild_command(from_start: bool, keep_rows: bool, yes: bool) -> None:
    """Fill ClickHouse from Kafka again.

    Reads ledger, dead-letters and event-counts from their oldest records to their ends. For a ClickHouse that is empty,
    older than the group's offsets, or of topics that were deleted and created again.
    Where its rows belong to these topics, the command keeps them and goes on after them; else it deletes them. Stop all
    workers of the aggregator first; those of the meter may run. Killed at any moment, give the command again: it goes
    on where it ended. At the end it names what Kafka has deleted, which is gone for good.

    \b
    Examples:
      python -m aggregator rebuild          says what it would do
      python -m aggregator rebuild --yes
      python -m aggregator rebuild --yes --from-start
    """
    with refusals():
        settings = load()
        require_codecs()
        with ClickHouse(settings.clickhouse_dsn) as clickhouse:
            migrate.require(clickhouse)
            if yes:
                rebuild.show_rebuild(
                    settings.kafka_bootstrap_servers, clickhouse, from_start=from_start, keeps=keep_rows
                )
            else:
                rebuild.show_plan(settings.kafka_bootstrap_servers, clickhouse, from_start=from_start, keeps=keep_rows)


@main.command("reconcile", epilog=_ENVIRONMENT)
@click.option(
    "--grace",
    "grace_s",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="How long a workspace whose rows are only partly written may stay as it is. If nothing of it changes for this "
    "time, its missing rows are a difference.",
)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(get_args(report.Format)),
    default="table",
    show_default=True,
    help="json is one line, with every difference.",
)
def reconcile_command(grace_s: float, output_format: report.Format) -> None:
    """Compare all figures, and name the rows that differ.

    Compared are events, units (conversations), the ledger, rollups (the daily usage of bots) and balances, two at a
    time. Prints a line for each pair, then the first differences. Exits with 0 if all figures agree, and with 1 if some
    differ or stay incomplete.

    It can run while workers write. The rows of an update are written one after another, so a workspace may be
    incomplete when it is read. It is then read again, for three times the grace time at most. A data directory
    (chdb:///DIR) must not be in use by a worker.

    \b
    Examples:
      python -m aggregator reconcile
      python -m aggregator reconcile --grace 60
      python -m aggregator reconcile --format json
    """
    with refusals(), ClickHouse(load().clickhouse_dsn) as clickhouse:
        migrate.require(clickhouse)
        agrees = report.reconcile(clickhouse, grace_s, output_format)
    if not agrees:
        sys.exit(FAILED)


@main.command("sql", epilog=_ENVIRONMENT)
@click.argument("query")
@click.option(
    "--format",
    "output_format",
    default="PrettyCompact" if sys.stdout.isatty() else "CSVWithNames",
    help="CSVWithNames, JSONEachRow, PrettyCompact or any other format of ClickHouse. "
    "Default: PrettyCompact on a terminal, else CSVWithNames.",
)
def sql_command(query: str, output_format: str) -> None:
    """Send one SELECT to ClickHouse and print the answer. QUERY can change nothing.

    \b
    Views: conversations, absorbed_conversations,
    reversed_conversations, ledger, usage_daily, usage_monthly,
    balances, dead_letters. Amounts of money are in micro-dollars.

    Usage is as of now: a conversation counts on the day of its first
    message. A ledger entry never changes: its day is that day as it was
    when the unit was charged. So both may differ by day, not in all.

    \b
    Examples:
      python -m aggregator sql "SELECT * FROM balances"
      python -m aggregator sql --format JSONEachRow \\
        "SELECT day, sum(conversations) FROM usage_daily GROUP BY day"
    """
    with refusals():
        sys.stdout.buffer.write(read_only.query(load().clickhouse_dsn, query, output_format))


@main.command("summary", epilog=_ENVIRONMENT)
def summary_command() -> None:
    """Show usage and money by workspace, and the refused records.

    \b
    Prints three parts:
      Usage         conversations, sessions, requests and notifications
      Money         what was charged to free and paid credit, what is left
                    of both, and what expired, in dollars
      dead letters  refused records by code, with the reason of one of them

    \b
    Example:
      CLICKHOUSE_DSN=chdb:///data/clickhouse python -m aggregator summary
    """
    with refusals():
        print_summary(load().clickhouse_dsn)


def _once(line: str) -> Callable[[], None]:
    """A function that prints the line when it is called first, and nothing later."""
    lines = [line]
    return lambda: click.echo(lines.pop()) if lines else None
