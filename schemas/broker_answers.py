"""When a Kafka broker last answered this process. The transport `batch://` notes it, and both programs show it.

A worker asks all the time: fetches, heartbeats, and every few seconds for the topics. So silence means an outage.
"""

import time
from collections.abc import Callable
from math import inf
from typing import Final

SILENT_S: Final = 15.0
"""After how many seconds without an answer no broker is there: three times as long as a worker waits between two
requests (`METADATA_MS` in schemas/delivery.py).
"""


class Answers:
    """The time of the last answer. `note` and `is_up` may be called from different threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_s = -inf

    def note(self) -> None:
        """Take note of an answer."""
        self._last_s = self._clock()

    def is_up(self) -> bool:
        """Whether a broker has answered within SILENT_S. False before the first answer."""
        return self._clock() - self._last_s < SILENT_S


ANSWERS: Final = Answers()
"""The answers to this process's consumer."""
