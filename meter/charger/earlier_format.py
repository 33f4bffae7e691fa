"""State of format 1: what an entry of it holds that is an entry of its own since format 2.

The first checkpoint writes each such entry again, with what it held beside it. So what is found is noted as touched.
"""

from meter.core.wallet.billed_conversations import BilledConversation
from meter.core.wallet.book import Book
from meter.core.wallet.chunks import fit_inline
from meter.core.wallet.lots import Lot
from meter.core.wallet.plan_terms import Timeline


def adopt_terms(book: Book, bot_id: str, timeline: Timeline) -> None:
    """Take the terms that the entry of a bot, or of the wallet if `bot_id` is "", held itself."""
    terms, timeline.terms = timeline.terms, []
    for term in terms:
        book.add_term(term, bot_id)
    if terms and bot_id:
        book.touched.bots.add(bot_id)


def adopt_lapses(book: Book, lot: Lot) -> None:
    """Take the lapses that the entry of a lot held itself."""
    if lot.lapses:
        book.touched.lots.add(lot.lot_id)
        book.touched.lapses[lot.lot_id] = 0, 0


def adopt_units(book: Book, conversation: BilledConversation) -> None:
    """Take the units that the entry of a conversation held itself, where they are too many for it now."""
    if not fit_inline(conversation.units):
        book.touched.conversations.add(conversation.conversation_id)
        book.touched.units[conversation.conversation_id] = 0, 0
