"""`python -m aggregator`: one command for the tables, one for the process that fills them, one that checks them."""

import sys
from collections.abc import Callable
from typing import get_args

import click

from aggregator import metrics
from aggregator.cli.errors import FAILED, refusals
from aggregator.cli.summary import print_summary
from aggregator.clickhouse import migrate, read_only
from aggregator.clickhouse.client import ClickHouse
from aggregator.reconciliation import report
from aggregator.settings import load
from aggregator.writer import worker

_ENVIRONMENT = """
\b
Environment (all of it optional):
  KAFKA_BOOTSTRAP_SERVERS  HOST:PORT[,HOST:PORT]  127.0.0.1:9092
  CLICKHOUSE_DSN           a server's, or chdb:///DIR for the engine in this
                           process  clickhouse://default@127.0.0.1:8123/default
  METRICS_HOST             where /metrics listens  127.0.0.1
  METRICS_PORT             0 takes the first free one from 9102 upward  0
  AGGREGATOR_FLUSH_MS      how long rows wait for others  500
  AGGREGATOR_RECONCILE_S   how often a worker looks whether everything adds up,
                           0 for never  60
  KAFKA_SESSION_TIMEOUT_S  silence after which others take over  10
"""


@click.group(
    help="Reads what the meter wrote to Kafka and keeps ClickHouse's tables: conversations, ledger, usage_daily, "
    "usage_monthly, balances, dead_letters.\n\n"
    "First `migrate`, then as many `worker`s as there are partitions, at most. `reconcile` says whether all of it adds "
    "up, at any time; `sql` and `summary` read.",
    epilog=_ENVIRONMENT,
)
def main() -> None:
    """The group holds the commands; each says itself what it does."""


@main.command("migrate", help="Create the tables, or bring them up to date. Safe to repeat.", epilog=_ENVIRONMENT)
def migrate_command() -> None:
    """Prints what was applied."""
    with refusals(), ClickHouse(load().clickhouse_dsn) as clickhouse:
        applied = migrate.apply(clickhouse)
    for migration in applied:
        click.echo(f"applied {migration.name}")
    if not applied:
        click.echo("the tables are up to date")


@main.command("worker", help="Write from Kafka to ClickHouse until stopped (SIGTERM, Ctrl-C).", epilog=_ENVIRONMENT)
def worker_command() -> None:
    """Refuses to start, with a sentence, unless ClickHouse, the tables, Kafka and the topics are there."""
    with refusals():
        settings = load()
        with ClickHouse(settings.clickhouse_dsn) as clickhouse:
            migrate.require(clickhouse)
            metrics.CLICKHOUSE_UP.set(1)
            url = metrics.serve(settings.metrics_host, settings.metrics_port)
            worker.run(settings, clickhouse, _once(f"aggregator ready, metrics at {url}"))


@main.command("reconcile", epilog=_ENVIRONMENT)
@click.option(
    "--grace",
    "grace_s",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Seconds after which rows that have stopped half-way count as missing.",
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
    """Compare events, units, ledger, rollups and balances, row by row where they differ.

    Exits with 0 if all agree, beside running workers too, and with 1 otherwise: then it names the first rows. A data
    directory (chdb:///DIR) has to be out of use.
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
    help="CSVWithNames, JSONEachRow, PrettyCompact or any other of ClickHouse's. "
    "Default: a table on a terminal, else CSVWithNames.",
)
def sql_command(query: str, output_format: str) -> None:
    """Ask ClickHouse, read-only.

    \b
    Tables: conversations, ledger, usage_daily, usage_monthly, balances, dead_letters.
    python -m aggregator sql "SELECT day, sum(conversations) FROM usage_daily GROUP BY day ORDER BY day"
    """
    with refusals():
        sys.stdout.buffer.write(read_only.query(load().clickhouse_dsn, query, output_format))


@main.command("summary", epilog=_ENVIRONMENT)
def summary_command() -> None:
    """Show usage and balances by workspace, and what was refused."""
    with refusals():
        print_summary(load().clickhouse_dsn)


def _once(line: str) -> Callable[[], None]:
    """What to call at every assignment to print the line at the first."""
    lines = [line]
    return lambda: click.echo(lines.pop()) if lines else None
