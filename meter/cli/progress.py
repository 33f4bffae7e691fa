"""What a run shows to people: progress, a table of usage and balances, and where to look next."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import orjson
from rich import box
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
        self._task = self._bar.add_task(name, total=total, note="")
        if not self._console.is_terminal:
            self._console.print(f"{name} ...")

    def advance(self, amount: int) -> None:
        """The phase has come so much further."""
        if self._task is not None:
            self._bar.advance(self._task, amount)

    def note(self, text: str) -> None:
        """What the phase is at now; only a terminal shows it."""
        if self._task is not None:
            self._bar.update(self._task, note=text)

    def say(self, line: str) -> None:
        """Something that stays on the screen."""
        self._console.print(line)


@contextmanager
def progress() -> Iterator[Shown]:
    """Show progress for as long as the block lasts, on standard error."""
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description} {task.fields[note]}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
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


def summary(data: Path) -> None:
    """Usage and balances by workspace, and what was refused."""
    console = Console()
    rows = _rows(data, _SUMMARY)
    console.print(_table("Usage", ("conversations", "sessions", "requests", "notifications"), rows, lambda n: f"{n:,}"))
    console.print(_table("Money", ("charged_free", "charged_paid", "free", "paid", "lapsed"), rows, dollars, "_micros"))
    for row in _rows(data, _REFUSED):
        console.print(f"dead letters: {row['letters']} x {row['code']}, such as: {row['example']}", markup=False)


def _table(
    title: str, columns: tuple[str, ...], rows: list[dict[str, Any]], show: Callable[[int], str], unit: str = ""
) -> Table:
    """One column a name, no wider than 80 characters in all: figures are never cut."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("workspace", overflow="fold")
    for name in columns:
        table.add_column(name.replace("_", " "), justify="right", overflow="fold")
    for row in rows:
        table.add_row(str(row["workspace_id"]), *(show(int(row[name + unit])) for name in columns))
    return table


def _rows(data: Path, query: str) -> list[dict[str, Any]]:
    answer = sql.query_data(data, query, "JSONEachRow")
    return [orjson.loads(line) for line in answer.splitlines()]


def next_steps(data: Path) -> None:
    """Where to look next."""
    command = f"{_python()} -m meter"
    Console(soft_wrap=True, markup=False, highlight=False).print(
        "Look further:\n"
        f'  {command} sql --data {data} "SELECT * FROM usage_monthly ORDER BY month DESC LIMIT 10"\n'
        f'  {command} sql --data {data} "SELECT * FROM ledger ORDER BY workspace_id, seq LIMIT 10"\n'
        f'  {command} sql --data {data} --format CSVWithNames "SELECT * FROM conversations" > conversations.csv\n'
        f"  {command} --help"
    )


def _python() -> str:
    """How to call this interpreter from here."""
    here, python = Path.cwd(), Path(sys.executable)
    return str(python.relative_to(here)) if python.is_relative_to(here) else "python"
