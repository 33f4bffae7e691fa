"""The notices of one partition that were read and are not done: what may be committed, and whether there is room."""

from collections import deque
from typing import Final

MAX_DELIVERIES: Final = 1_000
"""From how many waiting deliveries on no further notice is read. One notice has at most 1,000."""


class _Waiting:
    """One record that was read."""

    __slots__ = ("deliveries", "is_done", "offset", "size_bytes", "written_ms")

    def __init__(self, offset: int, written_ms: int, deliveries: int, size_bytes: int) -> None:
        self.offset = offset
        self.written_ms = written_ms
        self.deliveries = deliveries
        self.size_bytes = size_bytes
        self.is_done = False


class Window:
    """The records of one partition from the first that is not done on. Records may be done in any order."""

    def __init__(self, start: int) -> None:
        """`start` is the offset at which the group goes on reading."""
        self._waiting: deque[_Waiting] = deque()
        self._by_offset: dict[int, _Waiting] = {}
        self._deliveries = 0
        self.size_bytes = 0
        """How many bytes the records have that are not done."""
        self._read = start
        self.committed = start
        """The offset that was committed last. The owner of the window sets it."""

    def add(self, offset: int, written_ms: int, deliveries: int, size_bytes: int) -> bool:
        """Take note of a record that was read. Returns False for one that was read before."""
        if offset < self._read:
            return False
        record = _Waiting(offset, written_ms, deliveries, size_bytes)
        self._waiting.append(record)
        self._by_offset[offset] = record
        self._deliveries += deliveries
        self.size_bytes += size_bytes
        self._read = offset + 1
        return True

    def done(self, offset: int) -> None:
        """Take note that all deliveries of a record have ended, each with a receipt."""
        record = self._by_offset.pop(offset)
        record.is_done = True
        self._deliveries -= record.deliveries
        self.size_bytes -= record.size_bytes
        while self._waiting and self._waiting[0].is_done:
            self._waiting.popleft()

    @property
    def next_offset(self) -> int:
        """The offset that may be committed: every record before it is done."""
        return self._waiting[0].offset if self._waiting else self._read

    @property
    def has_room(self) -> bool:
        """Whether further records may be read."""
        # A record in the middle that is done still takes a place, so their number is bounded as well.
        return max(self._deliveries, len(self._waiting)) < MAX_DELIVERIES

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest record that is not done was written; None if there is none."""
        return self._waiting[0].written_ms if self._waiting else None
