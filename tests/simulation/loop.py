"""An event loop without a wall clock: when no task has anything to do, time jumps to the next timer.

Production code runs on it as it is, with its locks, timers, retries and threads; the threads' work is done in line.
Nothing in it depends on the machine, so a seed replays exactly.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any


class StuckError(Exception):
    """All tasks wait for one another."""


class FrozenError(BaseException):
    """Raised by a thread's work in a process that does not run. `until` takes what to call when it does."""

    def __init__(self, until: Callable[[Callable[[], None]], None]) -> None:
        self.until = until


class _NoFiles:
    """Stands where a selector waits for sockets; here only time passes."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[object]:
        if timeout is None:
            raise StuckError("nothing is left that could happen")
        self._loop.now_s += timeout
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """Time begins at 0 and costs nothing."""

    def __init__(self, rng: Random) -> None:
        super().__init__()
        self.now_s = 0.0
        self._rng = rng
        self._selector = _NoFiles(self)

    def time(self) -> float:
        """Seconds of virtual time."""
        return self.now_s

    def run_in_executor(  # type: ignore[override]  # no caller here passes an executor
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Run `func` in line, after the time that a thread's work may take."""
        del executor
        answer = self.create_future()

        def work() -> None:
            if answer.cancelled():
                return
            try:
                answer.set_result(func(*args))
            except FrozenError as frozen:
                frozen.until(work)
            except Exception as error:
                answer.set_exception(error)

        self.call_later(self._rng.random() / 10, work)
        return answer

    def _process_events(self, event_list: list[object]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """No task sleeps that would have to be woken."""
