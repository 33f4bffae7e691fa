"""`python -m meter`: the commands for operators, analysts and newcomers."""

import asyncio
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

import click

from meter import metrics, worker
from meter.cli import demo
from meter.cli.dead_letters import dead_letters_group
from meter.cli.entitlements import entitlements_group
from meter.cli.environment import ENVIRONMENT
from meter.cli.errors import refusals
from meter.cli.gateway import gateway_command
from meter.cli.invoices import invoices_group
from meter.cli.keys import keys_group
from meter.cli.notices import notices_group
from meter.cli.notify import notify_command
from meter.cli.operate import OPERATIONS
from meter.cli.payments import payments_command
from meter.cli.plans import plans_command
from meter.cli.policy import agreed_policy, policy_group
from meter.cli.progress import show_progress
from meter.ingest.feed_lines import feed_files
from meter.ingest.produce import produce
from meter.kafka import admin
from meter.kafka.drained import wait_drained
from meter.local import aggregator, pipeline, processes
from meter.local.data_directory import owned_data_directory
from meter.sessionizer.choose_engine import slow_engine_notice
from meter.settings import Settings, load
from schemas.codecs import require_codecs
from schemas.exit_statuses import FAILED
from schemas.terminal import print_any_text

_FEED = click.option(
    "--feed",
    "feeds",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A file of CloudEvents, one JSON object a line, plain or gzipped: chat events and account commands, mixed. "
    "A directory stands for its .ndjson, .jsonl and .json files. Give it again for each further file; all are merged "
    "by event time.",
)


@click.group(
    help="Meters chat events into conversations and sessions, and debits wallets.\n\n"
    "\b\n"
    "On this machine, without Kafka and ClickHouse:\n"
    "  python -m meter demo                                   the sample traffic\n"
    "  python -m meter run --feed FILE --data DIR --once      your feed\n"
    '  python -m meter sql --data DIR "SELECT * FROM balances"\n'
    "  python -m meter plans                                  plans and their limits\n"
    "\b\n"
    "In production, against Kafka and ClickHouse:\n"
    "  python -m meter topics; python -m aggregator migrate   once\n"
    "  python -m meter worker                                 one or more\n"
    "  python -m aggregator worker                            one or more\n"
    "  python -m meter gateway                                HTTP for runtimes and consoles\n"
    "  python -m meter keys add                               a key for it\n"
    "  python -m meter entitlements watch                     what each bot may do\n"
    "  python -m meter notify                                 mails and webhooks\n"
    "  python -m meter payments                               payments of orders\n"
    "  python -m meter produce --feed FILE --close            a feed to Kafka\n"
    "  python -m meter drained --timeout 60                   wait for ClickHouse\n"
    "  python -m meter dead-letters list                      refused records\n"
    "  python -m meter policy                                 what decides money\n"
    "  python -m meter notices preview low-balance            mails as people get them\n"
    "  python -m meter invoices preview                       an invoice as a PDF file\n"
    "\b\n"
    "Where a worker refuses to start, stop all workers first; without --yes these\n"
    "only say what they would do:\n"
    "  python -m meter topics --repair                        settings of topics\n"
    "  python -m meter accept-loss                            lost records\n"
    "  python -m meter rebuild                                state from topics\n"
    "  python -m meter repartition --to N                     more partitions\n"
    "  python -m meter begin-anew                             empty topics",
    epilog=ENVIRONMENT,
)
def main() -> None:
    """Set up what all commands need. The help text is above."""
    print_any_text()
    # A command reports an error of Kafka's client itself, in one sentence.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


_GROUPS = (dead_letters_group, entitlements_group, invoices_group, keys_group, notices_group, policy_group)
for _command in (*_GROUPS, gateway_command, notify_command, payments_command, plans_command, *OPERATIONS):
    main.add_command(_command)


@main.command("run")
@_FEED
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Directory for the embedded engines.")
@click.option("--once", is_flag=True, help="End when ClickHouse has all results; every conversation closes.")
def run_command(feeds: tuple[Path, ...], data: Path, once: bool) -> None:
    """Run the whole pipeline on this machine: an embedded broker, and an embedded ClickHouse in the data directory.

    With --once it ends with a table of the result. Without it, the pipeline runs until it is stopped (SIGTERM,
    Ctrl-C). The embedded broker loses its data when it stops, so a new run on the same directory replaces the earlier
    results.
    """
    if once and not feeds:
        raise click.UsageError("--once needs a feed, to end after it: add --feed FILE")
    with refusals():
        settings = load()
        _run(settings, feed_files(feeds), data, once=once)
        if once:
            aggregator.print_summary(data)
            click.echo(aggregator.reconciled(data))


@main.command("demo")
@click.option(
    "--data", type=click.Path(path_type=Path), default=Path("build/run"), help="Directory for the embedded engines."
)
def demo_command(data: Path) -> None:
    """Meter sample traffic on the embedded engines and show the result. `make run` calls this."""
    with refusals():
        feeds = demo.sample_feeds()
        click.echo(f"Metering {', '.join(str(feed) for feed in feeds)}")
        _run(load(), feeds, data, once=True)
        aggregator.print_summary(data)
        click.echo(aggregator.reconciled(data) + "\n")
        demo.next_steps(data)


def _run(settings: Settings, feeds: list[Path], data: Path, *, once: bool) -> None:
    """Run the pipeline in the data directory: until the feeds are drained with `once`, else until it is stopped."""
    processes.stop_on_signals()
    with owned_data_directory(data), show_progress() as progress:
        progress.phase("starting", None)
        with pipeline.pipeline(data, settings) as running:
            if not once:
                progress.say(f"broker at {running.settings.kafka_bootstrap_servers}, logs in {data}; stop with Ctrl-C")
            pipeline.feed_and_drain(running, feeds, progress, finish=once)
            if not once:
                with suppress(processes.Stopped):
                    pipeline.stay(running)


@main.command("sql")
@click.argument("query")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="The data directory of a run. Default: the database of CLICKHOUSE_DSN.",
)
@click.option(
    "--format",
    "output_format",
    default="PrettyCompact" if sys.stdout.isatty() else "CSVWithNames",
    help="CSVWithNames, JSONEachRow, PrettyCompact or any other format of ClickHouse. "
    "Default: PrettyCompact on a terminal, else CSVWithNames.",
)
def sql_command(query: str, data: Path | None, output_format: str) -> None:
    """Query ClickHouse, read-only.

    The command hands on to `python -m aggregator sql`, which reads CLICKHOUSE_DSN; --data sets this variable for it.

    \b
    Views: conversations, ledger, usage_daily, usage_monthly, balances, dead_letters.
    python -m meter sql --data DIR "SELECT day, sum(conversations) FROM usage_daily GROUP BY day ORDER BY day"
    """
    with refusals():
        environment = aggregator.environment_of(data) if data is not None else dict(os.environ)
        aggregator.hand_on(["sql", query, "--format", output_format], environment)


@main.command("worker")
def worker_command() -> None:
    """Sessionize and charge until stopped (SIGTERM, Ctrl-C).

    Workers share the partitions of the topics, so any number of them can run, up to the number of partitions. With
    METER_STAGES a worker does some of the three stages, so that each stage can have as many workers as it needs. Then
    start workers for all.
    """
    with refusals():
        settings = load()
        require_codecs()
        for warning in asyncio.run(admin.require_fitting_topics(settings.kafka_bootstrap_servers)).warnings:
            click.echo(f"Warning: {warning}", err=True)
        first = asyncio.run(agreed_policy(settings, idempotent=settings.kafka_idempotent))
        logging.getLogger("aiokafka").setLevel(logging.NOTSET)
        notice = slow_engine_notice(settings)
        if notice is not None:
            click.echo(notice, err=True)
        url = metrics.serve(settings.metrics_host, settings.metrics_port)
        lines = [f"meter ready, metrics at {url}"]
        worker.run(settings, first, lambda: click.echo(lines.pop()) if lines else None)


@main.command("produce")
@_FEED
@click.option(
    "--close",
    is_flag=True,
    help="Then end event time with a final tick in every partition, so that every conversation closes.",
)
def produce_command(feeds: tuple[Path, ...], close: bool) -> None:
    """Write a feed to Kafka, as bot runtimes and the console would."""
    if not feeds:
        raise click.UsageError("nothing to produce: add --feed FILE")
    with refusals():
        settings = load()
        files = feed_files(feeds)
        asyncio.run(admin.require_topics(settings.kafka_bootstrap_servers))
        with show_progress() as progress:
            progress.phase("producing", sum(path.stat().st_size for path in files))
            produced = asyncio.run(produce(settings, files, progress.advance, close=close))
    click.echo(f"{produced.written} lines written")
    if produced.refused:
        click.echo(
            f"{produced.refused} of them cannot be read and become dead letters: look at them with "
            "`python -m meter dead-letters list`",
            err=True,
        )


@main.command("drained")
@click.option(
    "--timeout", "timeout_s", type=float, default=60.0, show_default=True, help="Wait at most this many seconds."
)
def drained_command(timeout_s: float) -> None:
    """Wait until everything that was produced has reached ClickHouse. Exit with 1 if it takes too long.

    The command compares the committed offsets of both consumer groups with the topics. It can run at any time, beside
    running workers.
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
