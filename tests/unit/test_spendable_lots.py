"""Which lots a unit asks, against all lots sorted anew for each unit."""

from typing import Any, Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from meter.core.wallet.book import Book
from meter.core.wallet.lots import Lot
from meter.core.wallet.posting import Posting
from meter.core.wallet.wallet import Wallet
from schemas.ledger import LotKind

Order = Literal["free_first", "paid_first"]
RANKS: dict[Order, dict[str, int]] = {
    "free_first": {"free": 0, "designated": 1, "shared": 2},
    "paid_first": {"designated": 0, "shared": 1, "free": 2},
}
BOTS = ("b-1", "b-2")
ABOUT = Posting.of_lot("", 0)

lots = st.builds(
    lambda kind, bot, begins, length: (kind, bot if kind == "designated" else "", begins, begins + length),
    st.sampled_from(("free", "designated", "shared")),
    st.sampled_from(BOTS),
    st.integers(0, 5),
    st.integers(1, 5),
)
moves = st.tuples(st.integers(0, 7), st.sampled_from(("spend", "spend_all", "credit", "begin_earlier")))
questions = st.tuples(st.sampled_from(BOTS), st.integers(0, 12), st.sampled_from(("free_first", "paid_first")))


def asked_naively(book: Book, bot_id: str, at_ms: int, order: Order) -> list[str]:
    """DOMAIN, Debit order 1 and 5, from all lots."""
    usable = [
        lot
        for lot in book.wallet.lots.by_id.values()
        if lot.spendable_micros > 0 and lot.pays_at(at_ms) and (lot.kind != "designated" or lot.bot_id == bot_id)
    ]
    usable.sort(key=lambda lot: (RANKS[order][lot.kind], lot.expires_ms, lot.assigned_ms, lot.lot_id))
    return [lot.lot_id for lot in usable]


def made(number: int, kind: LotKind, bot_id: str, begins_ms: int, ends_ms: int) -> Lot:
    lot = Lot(f"lot-{number}", kind, bot_id, 0, begins_ms)
    if kind == "free":
        lot.expires_ms = ends_ms
    return lot


def move(book: Book, lot: Lot, what: str) -> None:
    """After all that happens to lots: units, reversals, and an earlier event of a workspace that no command created."""
    left = lot.remaining_micros
    if what == "begin_earlier" and lot.kind == "free":
        lot.assigned_ms, lot.expires_ms = lot.assigned_ms - 1, lot.expires_ms - 1
        book.reorder_lots()
    elif what == "credit":
        book.post(lot, "reversal", 2, ABOUT)
    elif left:
        book.post(lot, "charge", -left if what == "spend_all" else -1, ABOUT)


@settings(max_examples=300, deadline=None)
@given(st.lists(lots, min_size=1, max_size=8), st.lists(st.tuples(moves, questions), max_size=30))
def test_the_lots_that_are_asked_are_those_of_all_lots_sorted(drawn: list[Any], steps: list[Any]) -> None:
    """After any spending, crediting and moving of terms the lots in debit order are those that a look at all finds."""
    book = Book(Wallet("w"))
    for number, each in enumerate(drawn):
        lot = made(number, *each)
        book.add_lot(lot)
        book.post(lot, "purchase", 3, ABOUT)
    for (which, what), (bot_id, at_ms, order) in steps:
        move(book, book.wallet.lots.by_id[f"lot-{which % len(drawn)}"], what)
        found = [lot.lot_id for lot in book.spendable.by(bot_id, at_ms, order)]
        assert found == asked_naively(book, bot_id, at_ms, order)
