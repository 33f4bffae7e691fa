"""`python -m meter notices deliveries` and `replay`: what became of mails and webhooks, and sending them again."""

import asyncio
from typing import Any, Final, get_args

import click
import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from meter.cli.errors import refusals
from meter.cli.since import Since
from meter.dead_letters.render import printable
from meter.kafka import admin
from meter.notify import inventory, replay
from meter.settings import Settings, load
from schemas.deliveries import Channel, Delivery, Target
from schemas.instants import rfc3339, to_ms

TABLE_LIMIT: Final = 50
"""How many deliveries a table shows unless --limit is given."""

PIPE_WIDTH: Final = 240


@click.command("deliveries")
@click.option("--notice", "notice_id", metavar="ID", help="Only deliveries of this notice.")
@click.option("--failed", is_flag=True, help="Only deliveries that will not be tried again.")
@click.option("--channel", type=click.Choice(get_args(Channel)), help="Only mails, or only webhooks.")
@click.option("--since", "since_ms", type=Since(), help="Only what changed since then: 90m, 24h, 7d, a time.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help=f"At most this many, the newest. Default: {TABLE_LIMIT} in a table, all as JSON.",
)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for each, for programs.")
def deliveries_command(
    notice_id: str | None, failed: bool, channel: Channel | None, since_ms: int | None, limit: int | None, as_json: bool
) -> None:
    """List what became of each mail and each webhook, the newest last.

    \b
    status: begun    an attempt is under way, or a process ended during one
            waiting  the last attempt failed; there will be another
            sent     the mail server or the endpoint has taken it
            failed   it will not be tried again: `notices replay` does
            stale    not sent, because it was written too long after its event
    """
    with refusals():
        settings = load()
        found = asyncio.run(_load(settings, notice_id, since_ms or 0))
    fit = [each for each in found.all() if channel in (None, each.channel) and (not failed or each.status == "failed")]
    limit = limit or (len(fit) if as_json else TABLE_LIMIT)
    shown = fit[max(0, len(fit) - limit) :]
    if as_json:
        for each in shown:
            click.echo(msgspec.json.encode(_object(each)))
    else:
        _table(shown, len(fit) - len(shown))
    if found.dropped:
        click.echo(f"{found.dropped} that changed earlier are not shown: give --notice or --since", err=True)


@click.command("replay")
@click.argument("notice_id", metavar="NOTICE_ID")
@click.option("--channel", type=click.Choice(get_args(Channel)), help="Only mails, or only webhooks.")
@click.option(
    "--recipient",
    "recipients",
    multiple=True,
    help="Only this address or endpoint; may be given again. With --channel also one that never got the notice.",
)
@click.option("--sent-too", is_flag=True, help="Also what was sent: people get the mail a second time.")
def replay_command(notice_id: str, channel: Channel | None, recipients: tuple[str, ...], sent_too: bool) -> None:
    """Deliver the notice NOTICE_ID again to those who did not get it.

    The notice is written to its topic once more, and a running `python -m meter notify` sends it. Mails keep their
    Message-ID and webhooks their webhook-id, so a receiver recognises what it has already.

    \b
    python -m meter notices replay NOTICE_ID
    python -m meter notices replay NOTICE_ID --channel webhook --sent-too
    """
    with refusals():
        settings = load()
        targets = asyncio.run(_replay(settings, notice_id, channel, recipients, sent_too=sent_too))
    for each in targets:
        click.echo(f"asked for again: {each.channel} to {each.recipient}")
    click.echo(f"See what became of it: python -m meter notices deliveries --notice {notice_id}")


async def _load(settings: Settings, notice_id: str | None, since_ms: int) -> inventory.Deliveries:
    await admin.require_topics(settings.kafka_bootstrap_servers)
    return await inventory.load(settings.kafka_bootstrap_servers, notice_id, since_ms)


async def _replay(
    settings: Settings, notice_id: str, channel: Channel | None, recipients: tuple[str, ...], *, sent_too: bool
) -> tuple[Target, ...]:
    deliveries = (await _load(settings, notice_id, 0)).all()
    targets = replay.targets_of(deliveries, channel, recipients, sent_too=sent_too)
    notice, value = await replay.find(settings.kafka_bootstrap_servers, notice_id, deliveries)
    await replay.ask_again(settings, replay.Chosen(notice, value, targets))
    return targets


def _object(each: Delivery) -> dict[str, Any]:
    """One delivery for programs. Times are RFC 3339 in UTC."""
    return msgspec.structs.asdict(each) | {"at": rfc3339(to_ms(each.at))}


def _table(shown: list[Delivery], older: int) -> None:
    """Print one delivery a row. All texts may come from outside, so no terminal acts on them."""
    grid = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("at", "status", "channel"):
        grid.add_column(name, no_wrap=True)
    grid.add_column("tries", justify="right", no_wrap=True)
    for name in ("recipient", "template", "notice", "reason"):
        grid.add_column(name, overflow="fold")
    for each in shown:
        at = rfc3339(to_ms(each.at))
        cells = (at, each.status, each.channel, str(each.attempts), each.recipient, each.template, each.notice_id)
        grid.add_row(*(Text(printable(cell)) for cell in (*cells, each.reason)))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    console.print(grid)
    if older:
        console.print(f"{older} more that fit are older: --limit {len(shown) + older} shows them")
    if not shown:
        console.print("no deliveries")
