"""The changes of a book since the last checkpoint: the names of the entries that the next one has to write."""

from meter.core.wallet.billed_conversations import BilledConversation, Unit
from meter.core.wallet.chunks import fit_inline, rows_of
from meter.core.wallet.daily_usage import UsageKey
from meter.core.wallet.lots import Lot

Tail = tuple[int, int]
"""How many rows a list had at the last checkpoint, and the lowest item that changed since."""


class Touched:
    """The names of what changed in a book since the last checkpoint. A book that nothing touches has none of it."""

    __slots__ = ("bots", "commands", "conversations", "lapses", "lots", "terms", "units", "usage")

    def __init__(self) -> None:
        self.conversations: set[str] = set()
        self.usage: set[UsageKey] = set()
        self.lots: set[str] = set()
        self.bots: set[str] = set()
        self.commands: set[str] = set()
        self.terms: set[tuple[str, int]] = set()
        """Bot, or "" for the workspace, and the time from which its terms are in force."""
        self.lapses: dict[str, Tail] = {}
        """By lot."""
        self.units: dict[str, Tail] = {}
        """By conversation. Only of those whose units are in chunks, or were at the last checkpoint."""

    def note_lapses(self, lot: Lot) -> None:
        """Note that a lapse is about to be added to a lot, or that the newest one is about to change or end."""
        rows, lowest = self.lapses.get(lot.lot_id, (len(lot.lapses), len(lot.lapses)))
        self.lapses[lot.lot_id] = rows, min(lowest, max(0, len(lot.lapses) - 1))

    def note_units(self, conversation: BilledConversation, before: tuple[Unit, ...], kept: int) -> None:
        """Note that a conversation had the units `before`, and that the first `kept` of them did not change."""
        if fit_inline(before):
            if fit_inline(conversation.units):
                return
            kept = 0  # The units of its entry move to chunks.
        known = self.units.get(conversation.conversation_id)
        rows, lowest = known or (rows_of(before), kept)
        self.units[conversation.conversation_id] = rows, min(lowest, kept)
