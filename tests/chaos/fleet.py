"""The workers of a round, and the supervisor that any deployment has: what ends by itself is started again."""

import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from schemas.exit_statuses import FAILED, REFUSED
from tests.integration.processes import STOP_S, Worker

_SIGTERM: Final = -15
"""How a worker ends that was asked to before it could listen."""

_AWAY: Final = FAILED
"""How a worker ends that finds no server when it starts: one sentence, and nothing to look for."""

READY_S: Final = 180.0
"""How long the first workers may take to have partitions. A machine that does other work as well is slow."""


class Fleet:
    """Workers of both programs with one environment; logs go to one directory."""

    def __init__(self, env: dict[str, str], directory: Path) -> None:
        self._env = env
        self._directory = directory
        self._started = 0
        self._running: list[Worker] = []
        self._paused: list[Worker] = []
        self._doomed: list[Worker] = []
        self._leaving: list[Worker] = []
        self._guests: list[Worker] = []
        self.crashes: Counter[int] = Counter()
        """Exit codes of those that ended by themselves: 70 by design after an error, 1 where a server is away,
        1 or 78 where an operator has to act first."""
        self.reasons: list[str] = []
        """What those said that did not end for want of a server."""
        self.stuck: list[str] = []
        """Logs of those that were asked to end and did not."""

    @property
    def env(self) -> Mapping[str, str]:
        """The environment of its workers."""
        return self._env

    def start(self, program: str, changes: Mapping[str, str] | None = None) -> Worker:
        """One more, with other variables if some change; one in its place will have those of all."""
        worker = self._new(program, changes or {})
        self._running.append(worker)
        return worker

    def attempt(self, program: str, changes: Mapping[str, str] | None = None) -> Worker:
        """One more that is to be refused: it is not started again, and its end is no crash."""
        worker = self._new(program, changes or {})
        self._guests.append(worker)
        return worker

    def adopt(self, worker: Worker) -> None:
        """One that was attempted and runs is a worker like the others."""
        self._guests.remove(worker)
        self._running.append(worker)

    def _new(self, program: str, changes: Mapping[str, str]) -> Worker:
        self._started += 1
        return Worker(program, {**self._env, **changes}, self._directory / f"{self._started:02}-{program}.log")

    def ready(self) -> None:
        """Return when all that run have partitions."""
        for worker in self._running:
            worker.ready(READY_S)

    def those_of(self, program: str) -> list[Worker]:
        """Those that run."""
        return [worker for worker in self._running if worker.program == program]

    def pick(self, program: str, which: int) -> Worker | None:
        """One of those that run, None if none does."""
        found = self.those_of(program)
        return found[which % len(found)] if found else None

    def doom(self, worker: Worker) -> None:
        """It goes on, and will be killed: its end will be no crash."""
        self._running.remove(worker)
        self._doomed.append(worker)

    def replace(self, worker: Worker) -> None:
        """End one that is doomed with -9, if nobody has, and start another in its place."""
        self._doomed.remove(worker)
        worker.kill()
        self.start(worker.program)

    def leave(self, worker: Worker) -> None:
        """Ask it to end, and do not wait for it."""
        if worker in self._running:
            self._running.remove(worker)
            worker.ask_to_stop()
            self._leaving.append(worker)

    def pause(self, worker: Worker) -> None:
        """Stop it where it stands."""
        self._running.remove(worker)
        worker.pause()
        self._paused.append(worker)

    def wake(self, worker: Worker) -> None:
        """It goes on, and does not know what happened meanwhile."""
        self._paused.remove(worker)
        worker.wake()
        self._running.append(worker)

    def supervise(self) -> None:
        """Start again what has ended by itself."""
        for worker in [each for each in self._running if each.ended() is not None]:
            self._running.remove(worker)
            self._count(worker)
            self.start(worker.program)

    def _count(self, worker: Worker) -> None:
        code = worker.ended() or 0
        self.crashes[code] += 1
        if code not in (_AWAY, REFUSED):
            self.reasons.append(f"{worker.log_file.name} ended with {code}: {_reason(worker.log)}")

    def last_words(self) -> list[str]:
        """The last line of each one's log, after its name."""
        return [f"{each.log_file.name}: {(each.log.splitlines() or [''])[-1]}" for each in self._running]

    def kill(self, program: str) -> None:
        """End all of a program with -9; none may be paused any more."""
        for worker in self.those_of(program):
            self._running.remove(worker)
            worker.kill()
        self._see_off()

    def stop(self, program: str) -> None:
        """End all of a program in order; none may be paused any more."""
        for worker in self.those_of(program):
            self.leave(worker)
        self._see_off()

    def _see_off(self) -> None:
        """Wait for those that were asked to end."""
        deadline = time.monotonic() + STOP_S
        for worker in self._leaving:
            while worker.ended() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            code = worker.ended()
            if code is None:
                self.stuck.append(str(worker.log_file))
                worker.kill()
            elif code not in (0, _SIGTERM):
                self._count(worker)
        self._leaving.clear()

    def kill_all(self) -> None:
        """Leave no process behind."""
        for worker in self._running + self._paused + self._doomed + self._leaving + self._guests:
            worker.kill()


def _reason(log: str) -> str:
    """The first word of trouble and the last."""
    lines = [line for line in log.splitlines() if line.strip()]
    trouble = [line for line in lines if "CRITICAL" in line or "Crashed" in line]
    return " ... ".join([*trouble[:1], *lines[-1:]])
