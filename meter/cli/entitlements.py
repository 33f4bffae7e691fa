"""`python -m meter entitlements`: what each bot may do, as a table and as it changes."""

import asyncio
import signal
from collections.abc import Iterable
from contextlib import aclosing, suppress
from typing import Final

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from meter.cli.errors import refusals
from meter.kafka import admin
from meter.kafka.entitlements import Entitlement, Entitlements, follow_entitlements
from meter.settings import load
from schemas.entitlements import EntitlementRecord
from schemas.money import dollars
from schemas.notices import BotStatus

PIPE_WIDTH: Final = 200
"""The table's width where there is no terminal."""

_COLORS: Final[dict[BotStatus, str]] = {
    "Sufficient funds": "green",
    "Using Free Credits": "cyan",
    "Low Balance": "yellow",
    "Inactive": "red",
}


@click.group("entitlements")
def entitlements_group() -> None:
    """Show what each bot may do: whether it is active, and what its credit covers."""


@entitlements_group.command("watch")
@click.option("--workspace", help="The id of one workspace. Default: all.")
@click.option("--json", "as_json", is_flag=True, help="One record a line, as it lies on the topic; no table.")
@click.option("--once", is_flag=True, help="End after what stands now.")
def watch_command(workspace: str | None, as_json: bool, once: bool) -> None:
    """Show what stands now as a table, then each change as a line, until stopped (SIGTERM, Ctrl-C).

    \b
    python -m meter entitlements watch --workspace acme
    python -m meter entitlements watch --json --once
    """
    with refusals(), suppress(asyncio.CancelledError):
        bootstrap = load().kafka_bootstrap_servers
        asyncio.run(_watch(bootstrap, Watched(workspace, as_json=as_json), once=once))


async def _watch(bootstrap: str, shown: "Watched", *, once: bool) -> None:
    task = asyncio.current_task()
    assert task is not None
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, task.cancel)
    await admin.require_topics(bootstrap)
    known, has_begun = Entitlements(), False
    async with aclosing(follow_entitlements(bootstrap, known)) as following:
        async for changes in following:
            if has_begun:
                shown.changes(changes.newer)
            elif changes.is_caught_up:
                shown.standing(known)
                has_begun = True
                if once:
                    return


class Watched:
    """Shows the entitlements of all workspaces or of one, as JSON or for people."""

    def __init__(self, workspace_id: str | None, *, as_json: bool, console: Console | None = None) -> None:
        self._workspace_id = workspace_id
        self._as_json = as_json
        self._console = console or Console(highlight=False)
        if not self._console.is_terminal:
            self._console.width = PIPE_WIDTH

    def standing(self, known: Entitlements) -> None:
        """Show what stands: a row for each bot, by workspace."""
        ids = known.workspaces() if self._workspace_id is None else [self._workspace_id]
        found = [each for workspace_id in ids for each in known.of_workspace(workspace_id)]
        if self._as_json:
            self._lines(found)
            return
        table = Table("workspace", "bot", "status", "plan", box=box.SIMPLE)
        for title in ("available", "free", "designated", "shared", "units"):
            table.add_column(title, justify="right")
        table.add_column("as of")
        records = sorted((each.record() for each in found), key=lambda record: (record.workspace_id, record.bot_id))
        for record in records:
            table.add_row(*_cells(record))
        self._console.print(table)
        self._console.print(f"{len(records)} bots", markup=False)

    def changes(self, newer: Iterable[Entitlement]) -> None:
        """Show changes, each in a line."""
        mine = [each for each in newer if self._workspace_id in (None, each.workspace_id)]
        if self._as_json:
            self._lines(mine)
            return
        for each in mine:
            self._console.print(Text("  ").join(_cells(each.record())), soft_wrap=True)

    def _lines(self, found: Iterable[Entitlement]) -> None:
        for each in found:
            click.echo(each.value)


def _cells(record: EntitlementRecord) -> list[Text]:
    units = "any" if record.allowed_units is None else f"{record.allowed_units:,}"
    amounts = (record.available_micros, record.free_micros, record.designated_micros, record.shared_micros)
    names = [record.workspace_id, record.bot_id]
    rest = [record.plan, *map(dollars, amounts), units, record.as_of]
    return [*map(_plain, names), Text(record.status, _COLORS[record.status]), *map(_plain, rest)]


def _plain(text: str) -> Text:
    """A text of any origin in one line: characters that move a terminal's cursor become escapes."""
    return Text("".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text))
