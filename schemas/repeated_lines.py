"""Bounded logs: a line that a library repeats is written once in EVERY_S, with how many like it were left out.

While no broker answers, Kafka's client and Faust log each attempt, dozens of lines a second.
"""

import logging
import re
import threading
import time
from collections.abc import Callable
from typing import Final

EVERY_S: Final = 10.0
"""How often one line of a library is written, in seconds."""

LIBRARIES: Final = ("aiokafka", "faust", "mode", "asyncio")
"""The loggers that are bounded, by the first part of their names. All others write every line."""

MAX_LINES: Final = 1_000
"""How many different lines are remembered. With more, all are forgotten, so each is written once more."""

_NUMBER: Final = re.compile(r"0x[0-9a-f]+|\d+")
_DECIDED: Final = "is_written"


class RepeatedLines(logging.Filter):
    """Lets a line of a library through if it is new, or if the last one like it was written EVERY_S ago.

    Two lines are alike if they have one logger, one level, one text before values are put in, and one type of error.
    Numbers in the text do not count. A line after others that were left out says how many.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lines: dict[tuple[object, ...], tuple[float, int]] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide once for each record, however many handlers ask."""
        if record.name.split(".")[0] not in LIBRARIES:
            return True
        if not hasattr(record, _DECIDED):
            _soften(record)
            setattr(record, _DECIDED, self._is_due(record))
        return bool(getattr(record, _DECIDED))

    def _is_due(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[0] if record.exc_info else None
        line = record.name, record.levelno, _NUMBER.sub("0", str(record.msg).split("\n")[0]), error
        now_s = self._clock()
        with self._lock:
            written_s, left_out = self._lines.get(line, (-EVERY_S, 0))
            if now_s - written_s < EVERY_S:
                self._lines[line] = written_s, left_out + 1
                return False
            if len(self._lines) >= MAX_LINES:
                self._lines.clear()
            self._lines[line] = now_s, 0
        if left_out:
            record.msg = f"{record.msg} (and {left_out} lines like this since {now_s - written_s:.0f} s ago)"
        return True


def _soften(record: logging.LogRecord) -> None:
    """Make a warning of an error after which the client tries again by itself, such as at a first start."""
    values = record.args if isinstance(record.args, tuple) else ()
    if record.levelno == logging.ERROR and any(getattr(value, "retriable", False) for value in values):
        record.levelno, record.levelname = logging.WARNING, logging.getLevelName(logging.WARNING)


def bound_repeated_lines() -> None:
    """Bound what the handlers of the root logger write. Call it when they exist."""
    bound = RepeatedLines()
    for handler in logging.getLogger().handlers:
        handler.addFilter(bound)
