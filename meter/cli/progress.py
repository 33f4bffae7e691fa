"""The display of progress on standard error."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn


class ProgressDisplay:
    """Shows the progress of phases: a bar on a terminal, else one line a phase. A run uses it as its `Progress`."""

    def __init__(self, console: Console, bar: Progress) -> None:
        self._console = console
        self._bar = bar
        self._task: TaskID | None = None

    def phase(self, name: str, total: int | None) -> None:
        """Begin a phase, and complete the one before. `total` is its size in units of its own; None if it is not known.

        A run counts bytes, a measurement events.
        """
        if self._task is not None:
            self._bar.update(self._task, total=1, completed=1)
        self._task = self._bar.add_task(name, total=total, note="")
        if not self._console.is_terminal:
            self._console.print(f"{name} ...")

    def advance(self, count: int) -> None:
        """Move the bar by `count` units of the phase."""
        if self._task is not None:
            self._bar.advance(self._task, count)

    def note(self, text: str) -> None:
        """Show the step at which the phase is now. Only a terminal shows it, until the next note."""
        if self._task is not None:
            self._bar.update(self._task, note=text)

    def say(self, line: str) -> None:
        """Print a line that stays on the screen, above the bar."""
        self._console.print(line)


@contextmanager
def show_progress() -> Iterator[ProgressDisplay]:
    """Show progress on standard error for the length of the block."""
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description} {task.fields[note]}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield ProgressDisplay(console, bar)
