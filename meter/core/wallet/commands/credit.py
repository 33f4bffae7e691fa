"""Adding credit to a wallet: grants, purchases and the initial grant."""

from meter.core.rejection import Rejected
from meter.core.wallet.book import Book
from meter.core.wallet.charge import enter, lapse
from meter.core.wallet.commands.moment import Moment
from meter.core.wallet.commands.outcome import Done, Repeated
from meter.core.wallet.lots import Lot
from meter.core.wallet.posting import Posting
from schemas.money import MOST_MICROS


def add_credit(book: Book, lot: Lot, amount_micros: int, now: Moment) -> Done | Repeated | Rejected:
    """Add a lot and its entry of `amount_micros`; the lot must have no credit yet.

    An order id or a grant id credits once. A lot with the same id and the same terms is a repeat and changes nothing.
    A lot with the same id and another kind, bot, time, expiry or amount is refused (`conflict`),
    and so is credit that the wallet cannot count any more (`amount_too_large`). A grant that has
    not begun is pending: event time enters it. One whose term has ended lapses at once.
    """
    known = book.wallet.lots.by_id.get(lot.lot_id)
    lot.credited_micros = amount_micros
    if known is not None:
        field = "grant_id" if lot.kind == "free" else "order_id"
        same = _identity(known) == _identity(lot)
        return Repeated() if same else Rejected("conflict", f"data.{field}: {lot.lot_id} was credited otherwise before")
    if amount_micros > MOST_MICROS - book.wallet.credited_micros:
        return Rejected("amount_too_large", "data.amount_micros: with it the wallet was given more than it can count")
    book.wallet.credited_micros += amount_micros
    book.add_lot(lot)
    if lot.kind == "free":
        lot.pending_micros = amount_micros
        if lot.assigned_ms <= now.begun_ms:
            enter(book, lot)
        lapse(book, lot, now.clock_ms)
        book.changed = True
    else:
        lot.entry_id = book.post(lot, "purchase", amount_micros, Posting.of_lot(lot.bot_id, lot.assigned_ms)).entry_id
    return Done()


def _identity(lot: Lot) -> tuple[object, ...]:
    """The terms that must agree in a repeat."""
    return lot.kind, lot.bot_id, lot.assigned_ms, lot.expires_ms, lot.credited_micros
