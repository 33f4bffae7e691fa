"""Charging units to lots, and reversing charges (DOMAIN, Debit order)."""

from meter.core.policy import Policy
from meter.core.wallet.billed_conversations import BilledConversation, Part, Unit
from meter.core.wallet.book import Book
from meter.core.wallet.lots import ASSUMED_GRANT, Lapse, Lot
from meter.core.wallet.plan_terms import Term, in_force
from meter.core.wallet.posting import Posting
from schemas.instants import day_of
from schemas.money import MOST_MICROS


def settle(book: Book, conversation: BilledConversation, policy: Policy, clock_ms: int) -> None:
    """Make the charges of a conversation equal what its current state and plan require.

    Units that remain due keep the lots that paid for them. Surplus units are reversed, the newest first. A change of
    plan or price reverses all units and charges them again. Called after each change of the conversation or of the
    plans; the workspace must have a plan. The caller must take the conversation out of the usage totals before, and add
    it after.
    """
    before = conversation.units
    if book.wallet.has_withdrawn:
        paid_by_it = (number for number, unit in enumerate(conversation.units) if _uses_withdrawn(unit))
        _reverse_from(book, conversation, next(paid_by_it, len(before)), clock_ms)
    term = _term(book, conversation, policy)
    if (conversation.plan, conversation.price_micros) != (term.plan, term.price_micros):
        _reverse_from(book, conversation, 0, clock_ms)
        conversation.plan, conversation.price_micros = term.plan, term.price_micros
    due = _units_due(conversation)
    _reverse_from(book, conversation, due, clock_ms)
    kept = len(conversation.units)
    charged: list[Unit] = []
    for number in range(kept, due):
        unit_id, at_ms = _unit(conversation, number, policy)
        day = day_of(conversation.first_ms)
        about = Posting(conversation.bot_id, unit_id, conversation.conversation_id, at_ms, day)
        parts = debit_unit(book, conversation.price_micros, about, policy)
        charged.append(Unit(unit_id, at_ms, parts, day))
        _add_charge(book, conversation, parts, +1)
    if charged:
        conversation.units += tuple(charged)
    if conversation.units is not before:
        book.touched.note_units(conversation, before, kept)


def needs_settling(book: Book, conversation: BilledConversation, policy: Policy) -> bool:
    """Whether a plan or a withdrawn grant has changed what a conversation was charged, and it was not settled since."""
    term = _term(book, conversation, policy)
    if (conversation.plan, conversation.price_micros) != (term.plan, term.price_micros):
        return True
    return book.wallet.has_withdrawn and any(map(_uses_withdrawn, conversation.units))


def _uses_withdrawn(unit: Unit) -> bool:
    """Whether the assumed grant paid for a part of it. Asked only once that grant is withdrawn."""
    return any(part.lot_id == ASSUMED_GRANT for part in unit.parts)


def _units_due(conversation: BilledConversation) -> int:
    """The number of units that the conversation has under its plan."""
    if not conversation.billable:
        return 0
    return 1 if conversation.plan == "standard" else conversation.sessions


def _unit(conversation: BilledConversation, number: int, policy: Policy) -> tuple[str, int]:
    """The id and the event time of unit `number`, counted from 0."""
    if conversation.plan == "standard":
        return conversation.conversation_id, conversation.first_ms
    return f"{conversation.conversation_id}/{number}", conversation.first_ms + number * policy.gap_ms


def _term(book: Book, conversation: BilledConversation, policy: Policy) -> Term:
    wallet = book.wallet
    bot = wallet.bots.get(conversation.bot_id)
    # Most bots have no plan of their own.
    term = in_force(wallet.plan, bot.plan if bot and bot.plan.terms else None, conversation.first_ms)
    if term.plan == "enterprise":
        return term
    # A price that the policy changes is for conversations that are charged from then on.
    is_charged = conversation.plan == "standard" and conversation.units
    price_micros = conversation.price_micros if is_charged else policy.conversation_micros
    return term if term.price_micros == price_micros else Term(term.from_ms, "standard", price_micros)


def debit_unit(book: Book, price_micros: int, about: Posting, policy: Policy) -> tuple[Part, ...]:
    """Debit `price_micros` from the lots in debit order; the rest from the overdraft. Returns each lot's part.

    A wallet that was charged MOST_MICROS in all is not charged more.
    """
    parts: list[Part] = []
    left_micros = price_micros = min(price_micros, MOST_MICROS - book.wallet.charged_micros)
    book.wallet.charged_micros += price_micros
    for lot in book.spendable.by(about.bot_id, about.occurred_ms, policy.debit_order):
        if left_micros == 0:
            break
        if lot.pending_micros:
            enter(book, lot)
        debited_micros = min(left_micros, lot.spendable_micros)
        _undo_lapses(book, lot, debited_micros - max(0, lot.remaining_micros), about)
        parts.append(_debit_lot(book, lot, debited_micros, about))
        left_micros -= debited_micros
    if left_micros:
        parts.append(_debit_lot(book, book.wallet.lots.overdraft(), left_micros, about))
    return tuple(parts)


def _debit_lot(book: Book, lot: Lot, amount_micros: int, about: Posting) -> Part:
    entry = book.post(lot, "charge", -amount_micros, about)
    return Part(entry.entry_id, lot.lot_id, amount_micros)


def _undo_lapses(book: Book, lot: Lot, missing_micros: int, about: Posting) -> None:
    """Undo the newest lapses of a lot by `missing_micros`, so that a late unit from within its term can be paid."""
    while missing_micros > 0:
        book.touched.note_lapses(lot)
        latest = lot.lapses[-1]
        recalled_micros = min(missing_micros, latest.amount_micros)
        book.post(lot, "lapse_reversal", recalled_micros, about, reverses=latest.entry_id)
        book.wallet.lapsed_micros -= recalled_micros
        missing_micros -= recalled_micros
        latest.amount_micros -= recalled_micros
        lot.lapsed_micros -= recalled_micros
        if latest.amount_micros == 0:
            lot.lapses.pop()


def _reverse_from(book: Book, conversation: BilledConversation, kept: int, clock_ms: int) -> None:
    """Reverse all units but the first `kept`, the newest first."""
    if len(conversation.units) > kept:
        for unit in reversed(conversation.units[kept:]):
            _reverse(book, conversation, unit, clock_ms)
        conversation.units = conversation.units[:kept]


def _reverse(book: Book, conversation: BilledConversation, unit: Unit, clock_ms: int) -> None:
    """Credit each lot with the part that it paid. Credit that returns to an expired lot lapses at once."""
    for part in unit.parts:
        book.wallet.charged_micros -= part.amount_micros
        lot = book.wallet.lots.by_id[part.lot_id]
        about = Posting(conversation.bot_id, unit.unit_id, conversation.conversation_id, unit.at_ms, unit.day)
        book.post(lot, "reversal", part.amount_micros, about, reverses=part.entry_id)
        if lot.withdrawn:
            _take_back(book, lot)
        else:
            lapse(book, lot, clock_ms)
    _add_charge(book, conversation, unit.parts, -1)


def enter(book: Book, lot: Lot) -> None:
    """Credit a pending grant: the clock has reached its beginning, or a unit within its term is there."""
    entry = book.post(lot, "grant", lot.pending_micros, Posting.of_lot("", lot.assigned_ms))
    lot.pending_micros, lot.entry_id = 0, entry.entry_id


def withdraw(book: Book, lot: Lot) -> None:
    """Take a grant away: what is left of it at once, what it has paid whenever a reversal returns it."""
    _undo_lapses(book, lot, lot.lapsed_micros, Posting.of_lot("", lot.assigned_ms))
    lot.withdrawn = book.wallet.has_withdrawn = True
    _take_back(book, lot)


def _take_back(book: Book, lot: Lot) -> None:
    if lot.remaining_micros:
        about = Posting.of_lot("", lot.assigned_ms)
        book.post(lot, "grant_reversal", -lot.remaining_micros, about, reverses=lot.entry_id)


def pass_time(book: Book, lot: Lot, clock_ms: int) -> None:
    """Credit a grant that has begun by `clock_ms`, and lapse one that has ended."""
    if lot.pending_micros and lot.assigned_ms <= clock_ms:
        enter(book, lot)
    lapse(book, lot, clock_ms)


def lapse(book: Book, lot: Lot, clock_ms: int) -> None:
    """Debit what is left of a free lot whose term has ended by `clock_ms`. Does nothing for any other lot."""
    if lot.kind != "free" or clock_ms < lot.expires_ms or lot.remaining_micros <= 0:
        return
    amount_micros = lot.remaining_micros
    entry = book.post(lot, "lapse", -amount_micros, Posting.of_lot("", lot.expires_ms))
    book.touched.note_lapses(lot)
    lot.lapses.append(Lapse(entry.entry_id, amount_micros))
    lot.lapsed_micros += amount_micros
    book.wallet.lapsed_micros += amount_micros


def _add_charge(book: Book, conversation: BilledConversation, parts: tuple[Part, ...], sign: int) -> None:
    """Add (`sign` +1) or subtract (-1) parts in the conversation's totals of free and paid credit."""
    for part in parts:
        if book.wallet.lots.by_id[part.lot_id].kind == "free":
            conversation.charged_free_micros += sign * part.amount_micros
        else:
            conversation.charged_paid_micros += sign * part.amount_micros
