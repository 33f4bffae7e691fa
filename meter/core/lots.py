"""Lots of credit and the order in which they are spent (DOMAIN, Debit order)."""

from collections.abc import Iterator
from typing import Literal

import msgspec

from schemas.ledger import LotKind

OVERDRAFT = "overdraft"
"""The shared lot that takes what no credit covers; the only one that may fall below zero."""

_FOR_EVER_MS = 2**62


class Lapse(msgspec.Struct, array_like=True):
    """What one entry took when the lot's term had ended, as far as it has not been given back."""

    entry_id: str
    amount_micros: int


class Lot(msgspec.Struct, array_like=True):
    """One grant or purchase of `credited_micros`. Amounts in micro-dollars, times in event-time milliseconds.

    What remains and what has lapsed is together what is not spent: of an expired free lot a late unit may still take
    what has lapsed, because its own time decides.
    """

    lot_id: str
    kind: LotKind
    bot_id: str
    remaining_micros: int
    assigned_ms: int
    expires_ms: int = _FOR_EVER_MS
    credited_micros: int = 0
    lapses: list[Lapse] = []

    def pays_at(self, at_ms: int) -> bool:
        """Free credit pays from assigned_at until, and not at, expires_at; paid credit has no term."""
        return self.kind != "free" or self.assigned_ms <= at_ms < self.expires_ms

    @property
    def spendable_micros(self) -> int:
        """What a unit within its term can still take."""
        return max(0, self.remaining_micros) + sum(lapse.amount_micros for lapse in self.lapses)


class Lots(msgspec.Struct, array_like=True):
    """All lots of a workspace, by id. Exhausted ones stay, because a reversal credits the very lot that paid."""

    by_id: dict[str, Lot] = {}

    def add(self, lot: Lot) -> None:
        """Add a lot with an id of its own."""
        assert lot.lot_id not in self.by_id
        self.by_id[lot.lot_id] = lot

    def spendable(self, bot_id: str, at_ms: int, order: Literal["free_first", "paid_first"]) -> Iterator[Lot]:
        """The lots that may pay for a unit of `bot_id` at `at_ms`, first to be taken first.

        Free: soonest expiry, then oldest assigned, then id. Then the bot's designated credit, then the shared, each
        oldest first.
        """
        usable = [
            lot
            for lot in self.by_id.values()
            if lot.spendable_micros > 0 and lot.pays_at(at_ms) and (lot.kind != "designated" or lot.bot_id == bot_id)
        ]
        rank = _FREE_FIRST if order == "free_first" else _PAID_FIRST
        usable.sort(key=lambda lot: (rank[lot.kind], lot.expires_ms, lot.assigned_ms, lot.lot_id))
        return iter(usable)

    def overdraft(self) -> Lot:
        """The shared lot of last resort."""
        lot = self.by_id.get(OVERDRAFT)
        if lot is None:
            lot = self.by_id[OVERDRAFT] = Lot(OVERDRAFT, "shared", "", 0, _FOR_EVER_MS)
        return lot


_FREE_FIRST = {"free": 0, "designated": 1, "shared": 2}
_PAID_FIRST = {"designated": 0, "shared": 1, "free": 2}
