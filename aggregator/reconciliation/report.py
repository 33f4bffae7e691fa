"""The output of `reconcile`: a line for each pair, then the first rows that differ; or JSON, for programs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

import msgspec
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from aggregator.clickhouse.client import ClickHouse
from aggregator.core.reconciliation.differences import Difference
from aggregator.core.reconciliation.sums import EVENTS
from aggregator.reconciliation.rounds import Reconciliation, judged_in_time

Format = Literal["table", "json"]

SHOWN: Final = 50
"""How many differences the table shows, at most. JSON has them all."""


def reconcile(clickhouse: ClickHouse, grace_s: float, output_format: Format) -> bool:
    """Compare everything once, then again what was incomplete, and print the result.

    Returns whether everything was judged and nothing differs. Waits for incomplete rows for three times `grace_s`, at
    most. Raises what `ClickHouse.query` raises.
    """
    reconciliation = Reconciliation(clickhouse.query, grace_s)
    with _progress(clickhouse) as bar:
        task = bar.tasks[0].id
        reconciliation.look(on_chunk=lambda workspaces: bar.advance(task, workspaces))
        judged = judged_in_time(reconciliation, grace_s)
    if output_format == "json":
        _print_json(reconciliation)
    else:
        _print_table(reconciliation)
    return judged and not reconciliation.differences


@contextmanager
def _progress(clickhouse: ClickHouse) -> Iterator[Progress]:
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        ((workspaces,),) = clickhouse.query("SELECT uniq(workspace_id) FROM balance_facts")
        bar.add_task("reconciling workspaces", total=workspaces)
        yield bar


def _print_json(reconciliation: Reconciliation) -> None:
    result = {
        "pairs": reconciliation.scopes_by_pair(),
        "incomplete": reconciliation.incomplete,
        "partitions": reconciliation.partitions,
        "workspaces": reconciliation.workspaces,
        "differences": reconciliation.differences,
    }
    print(msgspec.json.encode(result).decode())


def _print_table(reconciliation: Reconciliation) -> None:
    for pair, scopes in reconciliation.scopes_by_pair().items():
        compared = f"{reconciliation.workspaces} workspaces"
        if pair == EVENTS:
            compared = f"{reconciliation.partitions} partitions, {compared}"
        print(f"{pair:16} difference {scopes}   ({compared})")
    if reconciliation.incomplete:
        advice = "still being written, run it again or with a longer --grace"
        print(f"{'incomplete':16} {reconciliation.incomplete}: {advice}")
    found = reconciliation.differences
    if found:
        _console().print(_difference_table(found[:SHOWN]))
    if len(found) > SHOWN:
        print(f"and {len(found) - SHOWN} more; --format json has them all")


def _difference_table(found: list[Difference]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("pair", no_wrap=True)
    table.add_column("scope", overflow="fold")
    table.add_column("what differs", overflow="fold")
    for each in found:
        sides = f"{each.one:,} in {each.one_table}, {each.other:,} in {each.other_table}"
        table.add_row(each.pair, each.scope, f"{each.row}: {each.figure}: {sides}")
    return table


def _console() -> Console:
    console = Console(markup=False, highlight=False)
    # A file or a pipe has no width. With a wide table each difference is one line there, which grep can find.
    return console if console.is_terminal else Console(markup=False, highlight=False, width=250)
