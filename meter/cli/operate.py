"""The commands for operators whose topics, state and offsets do not fit each other."""

import asyncio
import sys
from typing import Final

import click
import msgspec

from meter.cli.errors import refusals
from meter.cli.policy import agreed_policy
from meter.cli.progress import show_progress
from meter.kafka import admin
from meter.operations import begin_anew, rebuild
from meter.operations.accept_loss import Accepting
from meter.operations.losses import Loss
from meter.operations.repartition.run import plan as plan_repartition
from meter.operations.repartition.run import repartition
from meter.operations.stages import STAGES
from meter.settings import load
from schemas.exit_statuses import FAILED

_YES = click.option("--yes", is_flag=True, help="Do it. Without this the command only says what it would do.")
_FORMAT = click.option(
    "--format", "output_format", type=click.Choice(["table", "json"]), default="table", show_default=True
)
_UNCHANGED: Final = "nothing was changed: add --yes to do it"


@click.command("topics")
@click.option("--repair", is_flag=True, help="Set the settings of existing topics that differ from ours.")
def topics_command(repair: bool) -> None:
    """Create the topics that are missing, and say how the others differ from what workers need. Safe to repeat.

    The policy begins here if there is none. Workers refuse to start where a difference could make figures wrong; the
    command then exits with 1. Numbers of partitions are never changed here.

    \b
    Examples:
      KAFKA_PARTITIONS=12 KAFKA_REPLICATION_FACTOR=3 python -m meter topics
      python -m meter topics --repair
    """
    with refusals():
        settings = load()
        bootstrap = settings.kafka_bootstrap_servers
        partitions = settings.kafka_partitions
        created = asyncio.run(admin.create_topics(bootstrap, partitions, settings.kafka_replication_factor))
        for topic, is_new in created:
            click.echo(f"{'created' if is_new else 'exists '}  {topic.name:20}{topic.purpose}")
        compared = asyncio.run(admin.compare_topics(bootstrap, repairs=repair))
        if not compared.refusal:
            asyncio.run(agreed_policy(settings, idempotent=False))
    for difference in compared.repaired:
        click.echo(f"repaired {difference.sentence}")
    for difference in compared.settings.differences:
        click.echo(f"differs  {difference.sentence}")
    for name, identity in compared.identities.items():
        if identity.partitions != partitions:
            click.echo(f"differs  {name} has {identity.partitions} partitions, and KAFKA_PARTITIONS is {partitions}")
    if compared.refusal:
        click.echo(f"Error: {compared.refusal}", err=True)
        sys.exit(FAILED)


@click.command("accept-loss")
@_YES
@_FORMAT
def accept_loss_command(yes: bool, output_format: str) -> None:
    """Go on after records were lost, and write down which.

    For a worker that refuses to start because records were deleted before it read them, because the log ends before its
    checkpoint, or because chat-events or wallet-inputs was created again under the same name. Wallets and conversations
    stay as they are. Every range that was lost becomes a dead letter with the code `lost`, which ClickHouse counts. A
    log that ends too early is lifted above the checkpoint, and its new records are written once more there.

    Stop all workers of the meter first. Killed at any moment, give the command again. As JSON, each loss is one line.
    Each loss has Kafka's times of the last record before and the first one after it, and when the state was saved.

    \b
    Examples:
      python -m meter accept-loss            says what was lost
      python -m meter accept-loss --yes
    """
    with refusals():
        accepting = Accepting(load())
        losses = asyncio.run(accepting.find())
        for loss in losses:
            click.echo(_line(loss, output_format))
        if not losses and output_format == "table":
            click.echo("nothing is lost: start the workers")
        elif losses and yes:
            with show_progress() as progress:
                progress.phase("going on after the loss", None)
                copied = asyncio.run(accepting.accept(losses))
            click.echo(
                f"{len(losses)} losses written down, {copied} records written once more; start the workers", err=True
            )
        elif losses:
            click.echo(_UNCHANGED, err=True)


def _line(loss: Loss, output_format: str) -> str:
    if output_format == "json":
        fields = {
            "kind": loss.kind,
            "topic": loss.topic,
            "partition": loss.partition,
            "first_offset": loss.first,
            "last_offset": loss.last,
            "last_before_at": loss.times.last_before_at,
            "saved_at": loss.times.saved_at,
            "first_after_at": loss.times.first_after_at,
        }
        return msgspec.json.encode(fields).decode()
    return f"{loss.topic}/{loss.partition}: {loss.sentence}; {loss.times.sentence}"


@click.command("rebuild")
@click.option(
    "--state",
    "which",
    type=click.Choice(["conversations", "wallets", "commands", "all"]),
    default="all",
    show_default=True,
    help="Whose state to make again.",
)
@_YES
def rebuild_command(which: str, yes: bool) -> None:
    """Throw away the state of conversations, wallets and moved commands, so that workers make it again from the topics.

    The result is the same, entry by entry, because all is read again in the same order. Where records are deleted
    that the state is made of, the command refuses: wallet-inputs is kept for ever, chat-events and account-commands
    for 14 days. Stop all workers of the meter first. Killed at any moment, give the command again.

    \b
    Examples:
      python -m meter rebuild --state wallets          says what it would do
      python -m meter rebuild --state wallets --yes
    """
    names = {"conversations": STAGES[:1], "wallets": STAGES[1:2], "commands": STAGES[2:], "all": STAGES}
    with refusals():
        settings = load()
        planned = asyncio.run(rebuild.plan(settings, names[which]))
        for again in planned:
            count = again.ends.end - again.ends.beginning
            state, source = again.stage.state.name, again.stage.source.name
            click.echo(f"{state}/{again.partition}: thrown away; {count} offsets of {source} are read again")
        if yes:
            asyncio.run(rebuild.rebuild(settings, planned))
            click.echo("the state is thrown away; start the workers")
        else:
            click.echo(_UNCHANGED, err=True)


@click.command("begin-anew")
@_YES
def begin_anew_command(yes: bool) -> None:
    """Delete all topics of the product, with all that they hold, and make them again, empty.

    Events, commands, wallets, the ledger and dead letters are gone then. ClickHouse keeps its rows until
    `python -m aggregator rebuild --yes`, which deletes them too. Stop all workers of both programs first. Killed at any
    moment, give the command again.

    \b
    Examples:
      python -m meter begin-anew                             says what is thrown away
      KAFKA_PARTITIONS=12 python -m meter begin-anew --yes
    """
    with refusals():
        settings = load()
        for topic, partitions, count in asyncio.run(begin_anew.thrown_away(settings)):
            click.echo(f"thrown away  {topic.name:20}{partitions} partitions, {count} offsets: {topic.purpose}")
        if yes:
            asyncio.run(begin_anew.begin_anew(settings))
            asyncio.run(agreed_policy(settings, idempotent=False))
            click.echo(
                f"all topics are empty, with {settings.kafka_partitions} partitions; "
                "now run `python -m aggregator rebuild --yes`, then start the workers"
            )
        else:
            click.echo(_UNCHANGED, err=True)


@click.command("repartition")
@click.option("--to", "after", type=click.IntRange(1), required=True, help="The number of partitions of every topic.")
@click.option(
    "--advance-clocks",
    is_flag=True,
    help="Merge partitions of old events with others whose event time is far ahead. More events like them are late.",
)
@_YES
@_FORMAT
def repartition_command(after: int, advance_clocks: bool, yes: bool, output_format: str) -> None:
    """Give all topics more partitions, and move the state of every workspace to where its records go from then on.

    Bot runtimes may go on, with the old or the new number of partitions. Stop all workers of both programs first. The
    command reads what is left with the old number, adds the partitions that are missing, copies the state, and puts
    the copies in force. Once it has begun it must come to its end: partitions cannot be taken away again, and workers
    refuse to start until then. Killed at any moment, give the command again. A multiple of the old number costs least.

    \b
    Examples:
      python -m meter repartition --to 12            says what it would do
      python -m meter repartition --to 12 --yes
    """
    with refusals():
        settings = load()
        wanted = asyncio.run(plan_repartition(settings, after))
        layout = wanted.planned.layout
        if layout is None:
            click.echo(f"nothing to do: all topics have {after} partitions, and so has the state")
            return
        for name, count in wanted.planned.added.items():
            click.echo(_added(name, count, after, output_format))
        if not yes:
            click.echo(_UNCHANGED, err=True)
            return
        with show_progress() as progress:
            copied = asyncio.run(repartition(settings, wanted, progress, advance_clocks=advance_clocks))
        if output_format == "json":
            moved = {"workspaces": copied.workspaces, "interactions": copied.interactions} if copied else {}
            click.echo(msgspec.json.encode({"from": layout.before, "to": after, **moved}))
        else:
            moved_ = f"{copied.workspaces} workspaces and {copied.interactions} interactions moved; " if copied else ""
            click.echo(f"{moved_}all topics have {after} partitions; start the workers, with KAFKA_PARTITIONS={after}")


def _added(name: str, before: int, after: int, output_format: str) -> str:
    if output_format == "json":
        return msgspec.json.encode({"topic": name, "partitions": before, "to": after}).decode()
    return f"{name:20}{before} partitions, gets {after}"


OPERATIONS: Final = (
    topics_command,
    accept_loss_command,
    rebuild_command,
    repartition_command,
    begin_anew_command,
)
