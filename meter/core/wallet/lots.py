"""Lots of credit, and the order in which they pay (DOMAIN, Debit order)."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Literal

import msgspec

from schemas.ledger import LotKind

OVERDRAFT = "overdraft"
"""Id of the shared lot that pays what no credit covers. It is the only lot that may fall below zero."""

ASSUMED_GRANT = "assumed"
"""Id of the free grant of a workspace that its first event created. A command that creates it withdraws the grant."""

_FOR_EVER_MS = 2**62


class Lapse(msgspec.Struct, array_like=True, gc=False):
    """A lapse entry of a lot, and the part of it, in micro-dollars, that has not been undone."""

    entry_id: str
    amount_micros: int


class Lot(msgspec.Struct, array_like=True, gc=False):
    """One grant or purchase of `credited_micros`. Amounts are in micro-dollars, times in milliseconds of event time.

    The unspent credit is `remaining_micros` plus `lapses`, or `pending_micros`. A late unit from within the term of an
    expired free lot can still use what has lapsed, because the unit's own time decides what may pay for it.
    """

    lot_id: str
    kind: LotKind
    bot_id: str
    remaining_micros: int
    assigned_ms: int
    expires_ms: int = _FOR_EVER_MS
    credited_micros: int = 0
    lapses: list[Lapse] = []
    lapsed_micros: int = 0
    """The sum of `lapses`."""
    pending_micros: int = 0
    """The credit of a grant that event time has not reached yet. It is in no balance."""
    withdrawn: bool = False
    """Whether the lot may not pay any more. Credit that a reversal returns to it is taken away at once."""
    entry_id: str = ""
    """The id of the entry that credited it; "" while it is pending."""

    def pays_at(self, at_ms: int) -> bool:
        """Whether the lot may pay for a unit at `at_ms`. A free lot does within its term, the end excluded."""
        return self.kind != "free" or self.assigned_ms <= at_ms < self.expires_ms

    @property
    def spendable_micros(self) -> int:
        """The credit that a unit within its term can still use, lapsed and pending credit included."""
        left_micros = self.remaining_micros if self.remaining_micros > 0 else 0
        return left_micros + self.lapsed_micros + self.pending_micros


class Lots(msgspec.Struct, array_like=True):
    """All lots of a workspace, by id. Exhausted ones stay, because a reversal credits the lot that paid."""

    by_id: dict[str, Lot] = {}

    def add(self, lot: Lot) -> None:
        """Add a lot. No lot may have its id yet."""
        assert lot.lot_id not in self.by_id
        self.by_id[lot.lot_id] = lot

    def overdraft(self) -> Lot:
        """The overdraft lot. It is created when first needed."""
        lot = self.by_id.get(OVERDRAFT)
        if lot is None:
            lot = self.by_id[OVERDRAFT] = Lot(OVERDRAFT, "shared", "", 0, _FOR_EVER_MS)
        return lot


class Spendable:
    """The lots that had credit left when it was built, in queues in the order in which they pay.

    A debit looks only at these lots, and not at all lots that the workspace has ever had. Exhausted lots are removed
    when they are met. It must be built again when an exhausted lot has credit again or a term moves: see
    `Book.reorder_lots`.
    """

    def __init__(self, lots: Iterable[Lot]) -> None:
        self._free: list[Lot] = []
        self._paid: defaultdict[str, list[Lot]] = defaultdict(list)
        """Queues of paid lots by the bot that they are designated to; "" for the shared ones."""
        left = (lot for lot in lots if lot.spendable_micros > 0)
        for lot in sorted(left, key=lambda lot: (lot.expires_ms, lot.assigned_ms, lot.lot_id)):
            (self._free if lot.kind == "free" else self._paid[lot.bot_id]).append(lot)

    def by(self, bot_id: str, at_ms: int, order: Literal["free_first", "paid_first"]) -> Iterator[Lot]:
        """The lots that may pay for a unit of `bot_id` at `at_ms`, in debit order.

        Free lots pay by soonest expiry, then oldest assignment, then id. Then come the lots designated to the bot, then
        the shared ones, each by oldest purchase, then id. `paid_first` puts the free lots last.
        """
        own, shared = self._paid.get(bot_id, _NONE) if bot_id else _NONE, self._paid.get("", _NONE)
        for queue in (self._free, own, shared) if order == "free_first" else (own, shared, self._free):
            # Expired grants come first. They may be many, because their lapsed credit is kept for late units.
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
