"""The output of `summary`, also shown at the end of a local run: usage, money and dead letters."""

from collections.abc import Callable
from typing import Any, Final

import orjson
from rich import box
from rich.console import Console
from rich.table import Table

from aggregator.clickhouse.read_only import query
from schemas.money import dollars

_SUMMARY: Final = """
SELECT workspace_id, conversations, sessions, requests, notifications, charged_free_micros, charged_paid_micros,
       free_micros, paid_micros, lapsed_micros
FROM balances
LEFT JOIN (
    SELECT workspace_id, sum(conversations) AS conversations, sum(sessions) AS sessions, sum(requests) AS requests,
           sum(proactive_notifications + alert_notifications) AS notifications,
           sum(charged_free_micros) AS charged_free_micros, sum(charged_paid_micros) AS charged_paid_micros
    FROM usage_daily GROUP BY workspace_id
) AS usage USING workspace_id
ORDER BY workspace_id
"""
_REFUSED: Final = (
    "SELECT code, count() AS letters, any(reason) AS example FROM dead_letters GROUP BY code ORDER BY code"
)


def print_summary(dsn: str) -> None:
    """Print usage and money by workspace, then dead letters by code. Raises what `read_only.query` raises."""
    console = Console()
    rows = _rows(dsn, _SUMMARY)
    console.print(_table("Usage", ("conversations", "sessions", "requests", "notifications"), rows, lambda n: f"{n:,}"))
    console.print(_table("Money", ("charged_free", "charged_paid", "free", "paid", "lapsed"), rows, dollars, "_micros"))
    for row in _rows(dsn, _REFUSED):
        console.print(f"dead letters: {row['letters']} x {row['code']}, such as: {row['example']}", markup=False)


def _table(
    title: str, columns: tuple[str, ...], rows: list[dict[str, Any]], show: Callable[[int], str], unit: str = ""
) -> Table:
    """A table with a column for each name. `show` formats a figure; `unit` is the suffix of its key in a row.

    It fits into 80 characters: long figures are folded, never cut.
    """
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("workspace", overflow="fold")
    for name in columns:
        table.add_column(name.replace("_", " "), justify="right", overflow="fold")
    for row in rows:
        table.add_row(str(row["workspace_id"]), *(show(int(row[name + unit])) for name in columns))
    return table


def _rows(dsn: str, sql: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in query(dsn, sql, "JSONEachRow").splitlines()]
