"""What a run shows to people: progress, a table of usage and balances, and where to look next."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from meter import sql
from schemas.money import dollars

SHARED_FEEDS: Final = Path(__file__).parent.parent.parent / "shared" / "data"
"""Real traffic, where it lies beside the project; else the sample that ships with it."""

SAMPLE_FEEDS: Final = Path(__file__).parent / "sample"

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


class Shown:
    """A run's progress: a bar on a terminal, a line a phase elsewhere."""

    def __init__(self, console: Console, bar: Progress) -> None:
        self._console = console
        self._bar = bar
        self._task: TaskID | None = None

    def phase(self, name: str, total: int | None) -> None:
        """A new phase begins; `total` is its size, if known."""
        if self._task is not None:
            self._bar.update(self._task, total=1, completed=1)
        self._task = self._bar.add_task(name, total=total)
        if not self._console.is_terminal:
            self._console.print(f"{name} ...")

    def advance(self, amount: int) -> None:
        """The phase has come so much further."""
        if self._task is not None:
            self._bar.advance(self._task, amount)

    def say(self, line: str) -> None:
        """Something that stays on the screen."""
        self._console.print(line)


@contextmanager
def progress() -> Iterator[Shown]:
    """Show progress for as long as the block lasts, on standard error."""
    console = Console(stderr=True)
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield Shown(console, bar)


def sample_feeds() -> list[Path]:
    """The feeds of the demonstration."""
    for folder, names in (
        (SHARED_FEEDS, ("irc-train.ndjson.gz", "irc-train.accounts.ndjson")),
        (SAMPLE_FEEDS, ("traffic.ndjson.gz", "accounts.ndjson")),
    ):
        feeds = [folder / name for name in names]
        if all(feed.is_file() for feed in feeds):
            return feeds
    raise sql.SqlError(f"the sample feed is missing from {SAMPLE_FEEDS}: install the package again")


def wide_console() -> Console:
    """Standard output: as wide as the terminal, or wide enough for the table where there is none."""
    console = Console()
    return console if console.is_terminal else Console(width=160)


def summary(data: Path) -> None:
    """Usage and balances by workspace, and what was refused."""
    console = wide_console()
    table = Table(title="Usage and balances")
    for name in ("workspace", "conversations", "sessions", "requests", "notifications"):
        table.add_column(name, justify="left" if name == "workspace" else "right")
    for name in ("charged free", "charged paid", "free left", "paid balance", "lapsed"):
        table.add_column(name, justify="right")
    for row in _rows(data, _SUMMARY):
        counts = [f"{int(row[name]):,}" for name in ("conversations", "sessions", "requests", "notifications")]
        money = [dollars(int(value)) for name, value in row.items() if name.endswith("_micros")]
        table.add_row(str(row["workspace_id"]), *counts, *money)
    console.print(table)
    for row in _rows(data, _REFUSED):
        console.print(f"dead letters: {row['letters']} x {row['code']}, such as: {row['example']}", markup=False)


def _rows(data: Path, query: str) -> list[dict[str, Any]]:
    answer = sql.query_data(data, query, "JSONEachRow")
    return [orjson.loads(line) for line in answer.splitlines()]


def next_steps(data: Path) -> None:
    """Where to look next."""
    wide_console().print(
        "\nLook further:\n"
        f'  python -m meter sql --data {data} "SELECT * FROM usage_monthly ORDER BY month DESC LIMIT 10"\n'
        f'  python -m meter sql --data {data} "SELECT * FROM ledger ORDER BY workspace_id, seq LIMIT 10"\n'
        f'  python -m meter sql --data {data} --format CSVWithNames "SELECT * FROM conversations" > conversations.csv\n'
        "  python -m meter --help\n",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
