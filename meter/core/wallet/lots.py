"""Lots of credit and the order in which they are spent (DOMAIN, Debit order)."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Literal

import msgspec

from schemas.ledger import LotKind

OVERDRAFT = "overdraft"
"""The shared lot that takes what no credit covers; the only one that may fall below zero."""

_FOR_EVER_MS = 2**62


class Lapse(msgspec.Struct, array_like=True, gc=False):
    """What one entry took when the lot's term had ended, as far as it has not been given back."""

    entry_id: str
    amount_micros: int


class Lot(msgspec.Struct, array_like=True, gc=False):
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
        left_micros = self.remaining_micros if self.remaining_micros > 0 else 0
        return left_micros + sum(lapse.amount_micros for lapse in self.lapses) if self.lapses else left_micros


class Lots(msgspec.Struct, array_like=True):
    """All lots of a workspace, by id. Exhausted ones stay, because a reversal credits the very lot that paid."""

    by_id: dict[str, Lot] = {}

    def add(self, lot: Lot) -> None:
        """Add a lot with an id of its own."""
        assert lot.lot_id not in self.by_id
        self.by_id[lot.lot_id] = lot

    def overdraft(self) -> Lot:
        """The shared lot of last resort."""
        lot = self.by_id.get(OVERDRAFT)
        if lot is None:
            lot = self.by_id[OVERDRAFT] = Lot(OVERDRAFT, "shared", "", 0, _FOR_EVER_MS)
        return lot


class Spendable:
    """The lots that had something left when this was made, each queue in the order in which it is spent.

    A unit then asks the lots it may take from, and not all that a workspace has ever had. What is used up leaves; who
    credits a lot that had nothing left, or moves a term, makes another.
    """

    def __init__(self, lots: Iterable[Lot]) -> None:
        self._free: list[Lot] = []
        self._paid: defaultdict[str, list[Lot]] = defaultdict(list)
        """By the bot that it is designated to; "" is shared."""
        left = (lot for lot in lots if lot.spendable_micros > 0)
        for lot in sorted(left, key=lambda lot: (lot.expires_ms, lot.assigned_ms, lot.lot_id)):
            (self._free if lot.kind == "free" else self._paid[lot.bot_id]).append(lot)

    def by(self, bot_id: str, at_ms: int, order: Literal["free_first", "paid_first"]) -> Iterator[Lot]:
        """The lots that may pay for a unit of `bot_id` at `at_ms`, first to be taken first.

        Free: soonest expiry, then oldest assigned, then id. Then the bot's designated credit, then the shared, each
        oldest first.
        """
        own, shared = self._paid.get(bot_id, _NONE) if bot_id else _NONE, self._paid.get("", _NONE)
        for queue in (self._free, own, shared) if order == "free_first" else (own, shared, self._free):
            # Grants that ended before come first; they may be many, for what lapsed of them is here for late units.
            at = bisect_left(queue, at_ms, key=_expires_ms) if queue and queue[0].expires_ms < at_ms else 0
            while at < len(queue):
                lot = queue[at]
                if lot.spendable_micros == 0:
                    del queue[at]
                    continue
                if lot.pays_at(at_ms):
                    yield lot
                at += 1


_expires_ms = attrgetter("expires_ms")
_NONE: list[Lot] = []
