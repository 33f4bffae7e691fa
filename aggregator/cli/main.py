"""`python -m aggregator`: the commands that create, fill, check and read the tables."""

import sys
from collections.abc import Callable
from typing import get_args

import click

from aggregator import metrics
from aggregator.cli.environment import ENVIRONMENT
from aggregator.cli.errors import refusals
from aggregator.cli.operate import OPERATIONS
from aggregator.cli.summary import print_summary
from aggregator.clickhouse import migrate, read_only
from aggregator.clickhouse.client import ClickHouse
from aggregator.reconciliation import report
from aggregator.settings import load
from aggregator.writer import worker
from schemas.codecs import require_codecs
from schemas.exit_statuses import FAILED
from schemas.terminal import print_any_text


@click.group(epilog=ENVIRONMENT)
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


for _command in OPERATIONS:
    main.add_command(_command)


@main.command("migrate", epilog=ENVIRONMENT)
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


@main.command("worker", epilog=ENVIRONMENT)
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


@main.command("reconcile", epilog=ENVIRONMENT)
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


@main.command("sql", epilog=ENVIRONMENT)
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


@main.command("summary", epilog=ENVIRONMENT)
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
