"""The changes of a book since the last checkpoint: the names of the entries that the next one has to write."""

from typing import Literal

from meter.core.wallet.billed_conversations import BilledConversation, Unit
from meter.core.wallet.chunks import fit_inline, rows_of
from meter.core.wallet.daily_usage import UsageKey
from meter.core.wallet.lots import Lot

PurchaseKind = Literal["order", "method", "scope", "refund"]

Tail = tuple[int, int]
"""The most rows that a list has had since the last checkpoint, and the lowest item that changed since.

The most, not only those at the checkpoint: an owner that was cut off may have written any of them before its mark, and
what it wrote counts as soon as a later mark does.
"""


class Touched:
    """The names of what changed in a book since the last checkpoint. A book that nothing touches has none of it."""

    __slots__ = ("_rows", "bots", "commands", "conversations", "lapses", "lots", "purchases", "terms", "units", "usage")

    def __init__(self) -> None:
        self.conversations: set[str] = set()
        self.usage: set[UsageKey] = set()
        self.lots: set[str] = set()
        self.bots: set[str] = set()
        self.commands: set[str] = set()
        self.terms: set[tuple[str, int]] = set()
        """Bot, or "" for the workspace, and the time from which its terms are in force."""
        self.purchases: set[tuple[PurchaseKind, str]] = set()
        self.lapses: dict[str, Tail] = {}
        """By lot."""
        self.units: dict[str, Tail] = {}
        """By conversation. Only of those whose units are in chunks, or were since the last checkpoint."""
        self._rows: dict[str, int] = {}
        """The rows of each of these when it was noted last."""

    def note_lapses(self, lot: Lot) -> None:
        """Note that a lapse is about to be added to a lot, or that the newest one is about to change or end."""
        count = len(lot.lapses)
        most, lowest = self.lapses.get(lot.lot_id, (0, count))
        self.lapses[lot.lot_id] = max(most, count + 1), min(lowest, max(0, count - 1))

    def note_units(self, conversation: BilledConversation, before: tuple[Unit, ...], kept: int) -> None:
        """Note that a conversation had the units `before`, and that the first `kept` of them did not change."""
        if fit_inline(before):
            if fit_inline(conversation.units):
                return
            kept = 0  # The units of its entry move to chunks.
        name = conversation.conversation_id
        is_known = name in self.units and not fit_inline(before)
        rows_before = self._rows[name] if is_known else rows_of(before)
        rows = rows_before - rows_of(before[kept:]) + rows_of(conversation.units[kept:])
        most, lowest = self.units.get(name, (0, kept))
        self.units[name] = max(most, rows_before, rows), min(lowest, kept)
        self._rows[name] = rows
