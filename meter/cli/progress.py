"""What a run shows to people: progress, a table of usage and balances, and where to look next."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn


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
