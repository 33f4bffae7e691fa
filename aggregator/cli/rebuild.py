"""The output of `rebuild`: what it would do, a bar while it reads, and what it has done."""

import asyncio
from types import TracebackType
from typing import Final, Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from aggregator.clickhouse.client import ClickHouse
from aggregator.core.holdings import Partition
from aggregator.rebuild.rebuild import plan, rebuild
from schemas.topics import EVENT_COUNTS

_NAMED: Final = 10
"""How many lost ranges of offsets are listed."""


class _Bar:
    """A bar on standard error; without a terminal, nothing."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("rebuilding"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("rebuilding", total=None)

    def begin(self, total: int) -> None:
        self._bar.update(self._task, total=total)

    def advance(self, count: int) -> None:
        self._bar.advance(self._task, count)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


def show_plan(bootstrap_servers: str, clickhouse: ClickHouse, *, from_start: bool, keeps: bool) -> None:
    """Print what a rebuild would do. Raises what `rebuild.plan` raises."""
    planned = asyncio.run(plan(bootstrap_servers, clickhouse, from_start=from_start, keeps=keeps))
    deleted = "deletes all rows (see --keep-rows where the topic ledger alone was created again)"
    kept = deleted if planned.is_emptied else "keeps the rows that ClickHouse holds"
    click.echo(f"{kept}, then reads {planned.offsets:,} offsets of Kafka")
    _print_gone(planned.gone)
    click.echo("nothing was changed: add --yes to do it")


def show_rebuild(bootstrap_servers: str, clickhouse: ClickHouse, *, from_start: bool, keeps: bool) -> None:
    """Rebuild with a bar, then print what was done. Raises what `rebuild.rebuild` raises."""
    with _Bar() as bar:
        done = asyncio.run(rebuild(bootstrap_servers, clickhouse, bar, from_start=from_start, keeps=keeps))
    click.echo(f"rebuilt from {done.offsets:,} offsets of Kafka; now start the workers")
    _print_gone(done.gone)


def _print_gone(gone: list[tuple[Partition, int, int]]) -> None:
    for (topic, number), first, last in gone[:_NAMED]:
        note = ", which only old comparisons were in" if topic == EVENT_COUNTS.name else ", so its rows are lost"
        click.echo(f"Kafka has deleted {topic}/{number}, offsets {first} to {last}{note}")
    if len(gone) > _NAMED:
        click.echo(f"and {len(gone) - _NAMED} ranges more")
