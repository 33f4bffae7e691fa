"""Whether a consumer is still a member of its group: a process that was paused does not know that it is not.

After a heartbeat that the coordinator has answered, no other member gets the partitions before the session timeout has
passed. So a member may begin an effect outside of Kafka while its last such heartbeat is young enough.
"""

import time
from collections.abc import Callable
from math import inf
from typing import Any


class Heartbeats:
    """The time of the last heartbeat that was answered, by when it was sent: an answer may be read after a pause."""

    def __init__(self, session_timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._young_s = session_timeout_s / 2
        self._clock = clock
        self._sent_s = -inf

    def watch(self, consumer: Any) -> None:
        """Take note of the heartbeats of an aiokafka consumer. Called once, after it was started."""
        coordinator = consumer._coordinator
        beat = coordinator._do_heartbeat

        async def noted() -> bool:
            sent_s = self._clock()
            is_known = bool(await beat())
            if is_known:
                self._sent_s = sent_s
            return is_known

        coordinator._do_heartbeat = noted

    def is_member(self) -> bool:
        """Whether the last answered heartbeat was sent within half of the session timeout."""
        return self._clock() - self._sent_s < self._young_s
