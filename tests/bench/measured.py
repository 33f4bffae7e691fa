"""What a contender reports of its run, and the clock by which it measures it."""

import sys
import time
from pathlib import Path
from typing import Final

import msgspec

MIB: Final = 1024 * 1024
_ZERO: Final = (0.0, 0.0)


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One run: from the first event that was seen to the last one taken and the state that holds it safe."""

    events: int
    """Processed within the span."""
    warming: int = 0
    """Processed before it, by a contender that compiles itself first."""
    messages: int
    """In conversations, by the contender's own count: has to be all it took, or it has not done the work."""
    conversations: int | None = None
    """Begun, where the contender counts them."""
    announced: int = 0
    """Records written downstream within the span: session updates, or metered records."""
    wall_s: float
    cpu_s: float
    """User and system time of the process, all of its threads, in that span."""
    peak_bytes: int
    """The most memory the process ever had resident."""
    start_bytes: int
    """What it had resident at the first event."""
    checkpoint_s: float | None = None
    """Of `wall_s`, spent writing state, where the contender knows."""


class Clock:
    """Stamps the three instants of a run, and knows when the time for it is over."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._first = _ZERO
        self._last = _ZERO
        self._start_bytes = 0
        self.has_begun = False

    def first(self) -> None:
        """The first event is there. Only the first call counts."""
        if not self.has_begun:
            self._start_bytes = _resident_bytes("VmRSS")
            self._first = time.monotonic(), time.process_time()
            self.has_begun = True  # Last: another thread asks meanwhile whether the time since then is over.

    @property
    def is_over(self) -> bool:
        """Whether the run has lasted as long as it may."""
        return self.has_begun and time.monotonic() - self._first[0] >= self._limit_s

    def safe(self) -> None:
        """What was taken so far is safe. The last call counts."""
        self._last = time.monotonic(), time.process_time()

    def report(
        self,
        *,
        events: int,
        messages: int,
        conversations: int | None = None,
        announced: int = 0,
        after_s: float = 0.0,
        checkpoint_s: float | None = None,
    ) -> None:
        """Print the run, for the process that started this one.

        `after_s` is work that was done since `safe`, between idle waits: it is added to both spans, to the CPU time as
        if the core had been busy with it throughout.
        """
        (first_s, first_cpu_s), (last_s, last_cpu_s) = self._first, self._last
        measured = Measured(
            events=events,
            messages=messages,
            conversations=conversations,
            announced=announced,
            wall_s=last_s - first_s + after_s,
            cpu_s=last_cpu_s - first_cpu_s + min(after_s, time.process_time() - last_cpu_s),
            # Linux counts pages for each thread and adds them up late: its peak may lack some that were seen before.
            peak_bytes=max(_resident_bytes("VmHWM"), self._start_bytes),
            start_bytes=self._start_bytes,
            checkpoint_s=checkpoint_s,
        )
        sys.stdout.write("\n" + msgspec.json.encode(measured).decode() + "\n")
        sys.stdout.flush()


def _resident_bytes(name: str) -> int:
    """A line of /proc/self/status: VmRSS is what is resident now, VmHWM the most that ever was."""
    status = Path("/proc/self/status").read_text("ascii")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(name))
