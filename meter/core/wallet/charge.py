"""Charging units to lots and undoing it (DOMAIN, Debit order)."""

from meter.core.policy import Policy
from meter.core.wallet.billed_conversations import BilledConversation, Part, Unit
from meter.core.wallet.book import Book, Posting
from meter.core.wallet.lots import Lapse, Lot
from meter.core.wallet.plan_terms import Term, in_force


def settle(book: Book, conversation: BilledConversation, policy: Policy, clock_ms: int) -> None:
    """Make what a conversation has been charged equal what it should be, as it stands now.

    Units that stay keep the lots that paid for them; surplus ones are reversed, the newest first; a change of plan or
    price reverses all and bills again. The caller keeps the usage totals in step.
    """
    term = _term(book, conversation, policy)
    if (conversation.plan, conversation.price_micros) != (term.plan, term.price_micros):
        while conversation.units:
            _reverse_last(book, conversation, clock_ms)
        conversation.plan, conversation.price_micros = term.plan, term.price_micros
    due = _units_due(conversation)
    while len(conversation.units) > due:
        _reverse_last(book, conversation, clock_ms)
    for number in range(len(conversation.units), due):
        unit_id, at_ms = _unit(conversation, number, policy)
        about = Posting(conversation.bot_id, unit_id, conversation.conversation_id, at_ms)
        parts = burn(book, conversation.price_micros, about, policy)
        conversation.units += (Unit(unit_id, at_ms, parts),)
        _add_charge(book, conversation, parts, +1)


def _units_due(conversation: BilledConversation) -> int:
    """How many units the conversation comes to under its plan."""
    if not conversation.billable:
        return 0
    return 1 if conversation.plan == "standard" else conversation.sessions


def _unit(conversation: BilledConversation, number: int, policy: Policy) -> tuple[str, int]:
    """(unit_id, event time) of one unit, counted from 0."""
    if conversation.plan == "standard":
        return conversation.conversation_id, conversation.first_ms
    return f"{conversation.conversation_id}/{number}", conversation.first_ms + number * policy.gap_ms


def _term(book: Book, conversation: BilledConversation, policy: Policy) -> Term:
    wallet = book.wallet
    bot = wallet.bots.get(conversation.bot_id) if wallet.bots else None
    term = in_force(wallet.plan, bot.plan if bot else None, conversation.first_ms)
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
        debited_micros = min(left_micros, lot.spendable_micros)
        _recall_lapsed(book, lot, debited_micros - max(0, lot.remaining_micros), about)
        parts.append(_debit(book, lot, debited_micros, about))
        left_micros -= debited_micros
    if left_micros:
        parts.append(_debit(book, book.wallet.lots.overdraft(), left_micros, about))
    return tuple(parts)


def _debit(book: Book, lot: Lot, amount_micros: int, about: Posting) -> Part:
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


def _reverse_last(book: Book, conversation: BilledConversation, clock_ms: int) -> None:
    """Undo the newest unit, crediting each lot with what it paid."""
    unit, conversation.units = conversation.units[-1], conversation.units[:-1]
    for part in unit.parts:
        lot = book.wallet.lots.by_id[part.lot_id]
        about = Posting(conversation.bot_id, unit.unit_id, conversation.conversation_id, unit.at_ms)
        book.post(lot, "reversal", part.amount_micros, about, reverses=part.entry_id)
        lapse(book, lot, clock_ms)
    _add_charge(book, conversation, unit.parts, -1)


def lapse(book: Book, lot: Lot, clock_ms: int) -> None:
    """Take what is left of a free lot whose term has ended, and record it."""
    if lot.kind != "free" or clock_ms < lot.expires_ms or lot.remaining_micros <= 0:
        return
    amount_micros = lot.remaining_micros
    entry = book.post(lot, "lapse", -amount_micros, Posting("", "", "", lot.expires_ms))
    lot.lapses.append(Lapse(entry.entry_id, amount_micros))
    book.wallet.lapsed_micros += amount_micros


def _add_charge(book: Book, conversation: BilledConversation, parts: tuple[Part, ...], sign: int) -> None:
    """Keep what a conversation was charged, by kind of credit."""
    for part in parts:
        if book.wallet.lots.by_id[part.lot_id].kind == "free":
            conversation.charged_free_micros += sign * part.amount_micros
        else:
            conversation.charged_paid_micros += sign * part.amount_micros
