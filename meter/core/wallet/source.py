"""The figures that a partition of wallets keeps of chat-events: of the partition with its own number, and no other."""

import msgspec

from schemas.metered import Metered, SafePoint


class Source(msgspec.Struct, array_like=True):
    """Figures of the source partition.

    `safe_offset` and `watermark_ms` come from its safe points; `watermark_ms` is the clock of the wallets: it decides
    when a lapse shows, never which lot pays. `recent` holds the offsets of occurrences above the safe one,
    `newest_offset` is the highest of any update. `messages` (of closed conversations) and `occurrences` are totals
    since the beginning.
    """

    safe_offset: int = -1
    watermark_ms: int = 0
    recent: set[int] = set()
    newest_offset: int = -1
    messages: int = 0
    occurrences: int = 0

    def has_passed(self, metered: Metered) -> bool:
        """Whether a metered update is a repeat, because a safe point has promised that it came before."""
        return metered.origin_offset <= self.safe_offset

    def is_as_of(self, point: SafePoint) -> bool:
        """Whether the totals are those as of exactly a safe point that has not been applied yet.

        They are not if the point is a repeat, or if newer updates were processed already, as they may be after a crash.
        """
        return point.origin_offset > self.safe_offset and point.origin_offset >= self.newest_offset

    def reach(self, point: SafePoint) -> None:
        """Move to a safe point that is newer than the last one."""
        self.safe_offset = point.origin_offset
        self.watermark_ms = max(self.watermark_ms, point.watermark_ms)
        self.recent = {offset for offset in self.recent if offset > point.origin_offset}
