"""The commands for operators whose ClickHouse does not fit Kafka."""

from typing import Final

import click

from aggregator.cli import rebuild
from aggregator.cli.environment import ENVIRONMENT
from aggregator.cli.errors import refusals
from aggregator.clickhouse import migrate
from aggregator.clickhouse.client import ClickHouse
from aggregator.rebuild import leave_out
from aggregator.settings import load
from schemas.codecs import require_codecs


@click.command("rebuild", epilog=ENVIRONMENT)
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


@click.command("leave-out", epilog=ENVIRONMENT)
@click.argument("location", metavar="ledger/PARTITION/OFFSET")
@click.option("--yes", is_flag=True, help="Do it. Without this the command only says what it would do.")
def leave_out_command(location: str, yes: bool) -> None:
    """Leave out one record of the ledger that cannot be written.

    For a worker that refuses to run because a record of the topic ledger is no update, or holds what no table can. It
    becomes a dead letter with the code `internal` in ClickHouse, with its bytes, and workers pass over it from then on.
    If the meter wrote it, charges are missing then, and `reconcile` says so. A rebuild that deletes all rows forgets
    the decision and asks again.

    \b
    Examples:
      python -m aggregator leave-out ledger/3/1417          says why
      python -m aggregator leave-out ledger/3/1417 --yes
    """
    with refusals():
        settings = load()
        record, reason = leave_out.reason_of(settings.kafka_bootstrap_servers, location)
        click.echo(f"{location} cannot be written: {reason}")
        if yes:
            with ClickHouse(settings.clickhouse_dsn) as clickhouse:
                migrate.require(clickhouse)
                leave_out.leave_out(clickhouse, record, reason)
            click.echo("it is left out; start the workers")
        else:
            click.echo("nothing was changed: add --yes to do it", err=True)


OPERATIONS: Final = (rebuild_command, leave_out_command)
