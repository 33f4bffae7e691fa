"""Charging units to lots and undoing it (DOMAIN, Debit order)."""

from meter.core.policy import Policy
from meter.core.wallet.billed_conversations import Account, Part, Unit
from meter.core.wallet.book import Book, Posting
from meter.core.wallet.lots import Lapse, Lot
from meter.core.wallet.plan_terms import Term, in_force


def settle(book: Book, account: Account, policy: Policy, clock_ms: int) -> None:
    """Make what a conversation has been charged equal what it should be, as it stands now.

    Units that stay keep the lots that paid for them; surplus ones are reversed, the newest first; a change of plan or
    price reverses all and bills again. The caller keeps the usage totals in step.
    """
    term = _term(book, account, policy)
    if (account.plan, account.price_micros) != (term.plan, term.price_micros):
        while account.units:
            _reverse_last(book, account, clock_ms)
        account.plan, account.price_micros = term.plan, term.price_micros
    due = _units_due(account)
    while len(account.units) > due:
        _reverse_last(book, account, clock_ms)
    for number in range(len(account.units), due):
        unit_id, at_ms = _unit(account, number, policy)
        about = Posting(account.bot_id, unit_id, account.conversation_id, at_ms)
        parts = burn(book, account.price_micros, about, policy)
        account.units += (Unit(unit_id, at_ms, parts),)
        _tally(book, account, parts, +1)


def _units_due(account: Account) -> int:
    """How many units the conversation comes to under its plan."""
    if not account.billable:
        return 0
    return 1 if account.plan == "standard" else account.sessions


def _unit(account: Account, number: int, policy: Policy) -> tuple[str, int]:
    """(unit_id, event time) of one unit, counted from 0."""
    if account.plan == "standard":
        return account.conversation_id, account.first_ms
    return f"{account.conversation_id}/{number}", account.first_ms + number * policy.gap_ms


def _term(book: Book, account: Account, policy: Policy) -> Term:
    wallet = book.wallet
    bot = wallet.bots.get(account.bot_id) if wallet.bots else None
    term = in_force(wallet.plan, bot.plan if bot else None, account.first_ms)
    if term.plan == "enterprise" or term.price_micros == policy.conversation_micros:
        return term
    return Term(term.from_ms, "standard", policy.conversation_micros)


def burn(book: Book, price_micros: int, about: Posting, policy: Policy) -> tuple[Part, ...]:
    """Take `price_micros` from the lots in debit order; what no credit covers goes to the overdraft."""
    parts: list[Part] = []
    left_micros = price_micros
    for lot in book.spendable.by(about.bot_id, about.occurred_ms, policy.debit_order):
        if left_micros == 0:
            break
        taken_micros = min(left_micros, lot.spendable_micros)
        _recall_lapsed(book, lot, taken_micros - max(0, lot.remaining_micros), about)
        parts.append(_take(book, lot, taken_micros, about))
        left_micros -= taken_micros
    if left_micros:
        parts.append(_take(book, book.wallet.lots.overdraft(), left_micros, about))
    return tuple(parts)


def _take(book: Book, lot: Lot, amount_micros: int, about: Posting) -> Part:
    entry = book.post(lot, "charge", -amount_micros, about)
    return Part(entry.entry_id, lot.lot_id, amount_micros)


def _recall_lapsed(book: Book, lot: Lot, missing_micros: int, about: Posting) -> None:
    """A unit from within the lot's term takes what has lapsed since: the lapse is undone by that much."""
    while missing_micros > 0:
        latest = lot.lapses[-1]
        recalled_micros = min(missing_micros, latest.amount_micros)
        book.post(lot, "lapse_reversal", recalled_micros, about, reverses=latest.entry_id)
        book.wallet.lapsed_micros -= recalled_micros
        missing_micros -= recalled_micros
        latest.amount_micros -= recalled_micros
        if latest.amount_micros == 0:
            lot.lapses.pop()


def _reverse_last(book: Book, account: Account, clock_ms: int) -> None:
    """Undo the newest unit, crediting each lot with what it paid."""
    unit, account.units = account.units[-1], account.units[:-1]
    for part in unit.parts:
        lot = book.wallet.lots.by_id[part.lot_id]
        about = Posting(account.bot_id, unit.unit_id, account.conversation_id, unit.at_ms)
        book.post(lot, "reversal", part.amount_micros, about, reverses=part.entry_id)
        lapse(book, lot, clock_ms)
    _tally(book, account, unit.parts, -1)


def lapse(book: Book, lot: Lot, clock_ms: int) -> None:
    """Take what is left of a free lot whose term has ended, and record it."""
    if lot.kind != "free" or clock_ms < lot.expires_ms or lot.remaining_micros <= 0:
        return
    amount_micros = lot.remaining_micros
    entry = book.post(lot, "lapse", -amount_micros, Posting("", "", "", lot.expires_ms))
    lot.lapses.append(Lapse(entry.entry_id, amount_micros))
    book.wallet.lapsed_micros += amount_micros


def _tally(book: Book, account: Account, parts: tuple[Part, ...], sign: int) -> None:
    """Keep what an account was charged, by kind of credit."""
    for part in parts:
        if book.wallet.lots.by_id[part.lot_id].kind == "free":
            account.charged_free_micros += sign * part.amount_micros
        else:
            account.charged_paid_micros += sign * part.amount_micros
