"""The processes of a run: workers that are restarted after a crash, and how signals stop the run."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

from meter.local.broker import die_with_parent
from schemas.exit_statuses import REFUSED, USAGE_ERROR

T = TypeVar("T")

STOP_S: Final = 30.0
"""How long a worker may take to end after SIGTERM; then it is killed."""
QUICK_END_S: Final = 5.0
"""A worker that ends sooner than this after its start has ended quickly."""
QUICK_ENDS: Final = 12
"""After so many quick ends in a row a worker is not started again: another start would not help.

A record of which workers end is left out after fewer (docs/adr/0021).
"""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class RunError(Exception):
    """The run cannot go on; the message says why and what to do."""


class RefusedError(RunError):
    """A worker refuses to run, and an operator has to act. The message is the worker's own."""


class Worker:
    """A worker process, started at once. Call `watch` regularly: it starts the process again after a crash."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], log_file: Path) -> None:
        self.name = name
        self.quick_ends = 0
        self.log_file = log_file
        self._command = command
        self._environment = environment
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        self._started_at = time.monotonic()
        with self.log_file.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *self._command],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent(),
            )

    def watch(self) -> None:
        """Start the process again if it has ended. Raises RefusedError, or RunError if it ended quickly too often."""
        status = self._process.poll()
        if status is None:
            return
        if status in (REFUSED, USAGE_ERROR):
            raise RefusedError(f"the {self.name} worker refuses to run: {last_line(self.log_file)}")
        ended_soon = time.monotonic() - self._started_at < QUICK_END_S
        self.quick_ends = self.quick_ends + 1 if ended_soon else 0
        if self.quick_ends >= QUICK_ENDS:
            raise RunError(f"the {self.name} worker keeps ending (status {status}); its log is {self.log_file}")
        self._process = self._start()

    def stop(self) -> None:
        """End the process and wait for it: SIGTERM, and SIGKILL after STOP_S. Do not call `watch` after it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def last_line(log_file: Path) -> str:
    """Return the last line of a log that is not blank, without the `Error: ` before a refusal; "" if there is none."""
    lines = [line for line in log_file.read_text("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ") if lines else ""


class Stopped(BaseException):
    """Raised at SIGTERM or Ctrl-C, so that every `with` block stops the process that it started.

    A BaseException, because no `except Exception` may stop it.
    """


def stop_on_signals() -> None:
    """Make SIGTERM and Ctrl-C raise `Stopped` in the main thread. Not for code in an event loop: see `stoppable`."""

    def stop(*_: object) -> None:
        _ignore_signals()
        raise Stopped

    for number in _SIGNALS:
        signal.signal(number, stop)


def stoppable(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a new event loop and return its result. SIGTERM or Ctrl-C cancels it, then raises `Stopped`.

    Inside the loop `Stopped` could be raised in any task, so there the signals only cancel the coroutine.
    """

    async def run() -> T:
        task = asyncio.current_task()
        assert task is not None
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await work

    try:
        result = asyncio.run(run())
    except asyncio.CancelledError:
        _ignore_signals()
        raise Stopped from None
    stop_on_signals()
    return result


def _ignore_signals() -> None:
    """Ignore further signals: stopping takes seconds, and if it were interrupted, processes would be left behind."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
