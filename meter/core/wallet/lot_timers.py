"""Timers of grants: when the term of a free lot begins, and when it ends.

Most of them are due in weeks, and most of the workspaces that have them are quiet. So a timer of a later hour is no
more than the name of its workspace in the list of that hour: 8 bytes. When event time comes to the hour, the instants
are read from the workspace's lots.
"""

from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import Final

from meter.core.wallet.book import Book
from meter.core.wallet.lots import Lot

SLOT_MS: Final = 3_600_000


class LotTimers:
    """Timers of this hour and before in a heap of (event time in ms, workspace, lot), all others by hour.

    `read` returns a workspace's book, which is not changed. `reached_ms` is event time, up to which all timers have
    fired: a checkpoint's, or 0.
    """

    def __init__(self, read: Callable[[str], Book], reached_ms: int) -> None:
        self._read = read
        self._reached_ms = reached_ms
        self._slot = reached_ms // SLOT_MS
        """All timers of this slot, and of those before it, are in `_due`."""
        self._due: list[tuple[int, str, str]] = []
        self._later: dict[int, list[str]] = {}
        self._slots: list[int] = []
        """A heap of the slots in `_later`."""

    def watch(self, workspace_id: str, lot: Lot) -> None:
        """Set the timers of a lot. Called when a lot is added or its term moves, and for each lot after a restore."""
        for at_ms in self._instants(lot):
            slot = at_ms // SLOT_MS
            if slot <= self._slot:
                heappush(self._due, (at_ms, workspace_id, lot.lot_id))
                continue
            if slot not in self._later:
                self._later[slot] = []
                heappush(self._slots, slot)
            self._later[slot].append(workspace_id)

    def due(self, clock_ms: int) -> Iterator[tuple[str, str]]:
        """Yield (workspace, lot) of each timer up to `clock_ms`, and remove it. Some may be stale.

        No timer may be set before all were read.
        """
        while self._slots and self._slots[0] <= clock_ms // SLOT_MS:
            self._begin(heappop(self._slots))
        self._reached_ms = max(self._reached_ms, clock_ms)
        self._slot = max(self._slot, clock_ms // SLOT_MS)
        while self._due and self._due[0][0] <= clock_ms:
            _, workspace_id, lot_id = heappop(self._due)
            yield workspace_id, lot_id

    def _begin(self, slot: int) -> None:
        for workspace_id in dict.fromkeys(self._later.pop(slot)):
            for lot in self._read(workspace_id).wallet.lots.by_id.values():
                for at_ms in self._instants(lot):
                    if at_ms // SLOT_MS == slot:
                        heappush(self._due, (at_ms, workspace_id, lot.lot_id))

    def _instants(self, lot: Lot) -> Iterator[int]:
        """When event time changes a lot.

        An exhausted lot keeps its timer until its term ends, because a reversal may credit it again before. After that
        a reversal lapses at once, and only a lot that has credit left, because its term was moved, needs a timer.
        """
        if lot.kind == "free":
            if lot.pending_micros:
                yield lot.assigned_ms
            if lot.expires_ms > self._reached_ms or lot.remaining_micros > 0:
                yield lot.expires_ms
