"""Processes of a run: workers that are looked after, and how a run is broken off."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

from meter.local.broker import die_with_parent

T = TypeVar("T")

STOP_S: Final = 30.0
QUICK_END_S: Final = 5.0
QUICK_ENDS: Final = 5
"""A worker that ends this often, each time so soon after its start, will not get better by another start."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class RunError(Exception):
    """The run cannot go on; the message says why and what to do."""


class Worker:
    """A worker process that is started again when it ends unasked: a crash is meant to be survived."""

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
        """Start it again if it has ended. Raises RunError when it keeps ending."""
        status = self._process.poll()
        if status is None:
            return
        ended_soon = time.monotonic() - self._started_at < QUICK_END_S
        self.quick_ends = self.quick_ends + 1 if ended_soon else 0
        if self.quick_ends >= QUICK_ENDS:
            raise RunError(f"the {self.name} worker keeps ending (status {status}); its log is {self.log_file}")
        self._process = self._start()

    def stop(self) -> None:
        """End it and wait: politely, then not."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Stopped(BaseException):
    """SIGTERM or Ctrl-C: everything that was started is to be stopped."""


def stop_on_signals() -> None:
    """Let SIGTERM and Ctrl-C raise `Stopped` in the main thread, where no event loop runs."""

    def stop(*_: object) -> None:
        _ignore_signals()
        raise Stopped

    for number in _SIGNALS:
        signal.signal(number, stop)


def stoppable(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end. A signal cancels it and raises `Stopped`: raised inside, it would hit any task."""

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
    """Once is enough: stopping takes its time, and leaves nothing behind if it is let."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
