"""Applying a metered update to its workspace's book. Metered updates are absolute and may repeat."""

from meter.core.wallet.billed_conversations import BilledConversation
from meter.core.wallet.book import Book
from meter.core.wallet.books import Books
from meter.core.wallet.charge import settle
from meter.core.wallet.daily_usage import UsageKey
from meter.core.wallet.provisioning import provision_from
from meter.core.wallet.rebilling import rebill
from schemas.metered import ConversationMetered, OccurrenceMetered


def apply_conversation(books: Books, metered: ConversationMetered) -> None:
    """Settle a conversation in the state that `metered` gives it. Does nothing for a repeat."""
    if books.source.has_passed(metered):
        return
    book = books.book(metered.workspace_id)
    wallet = book.wallet
    conversation = book.conversations.get(metered.conversation_id)
    previous_day: UsageKey | None = None
    if conversation is None:
        conversation = book.conversations[metered.conversation_id] = BilledConversation.opened_by(metered)
        _note_first_event(books, book, metered.bot_id)
        wallet.conversations += 1
    elif conversation.covers(metered):
        return
    else:
        previous_day = books.subtract_usage(book, conversation)
        _count_messages(books, book, conversation, -1)
    conversation.update_from(metered)
    _count_messages(books, book, conversation, +1)
    was_unknown = wallet.status == "unknown"
    if wallet.status != "created":
        provision_from(books, book, metered.first_ms)
    if wallet.status != "unknown":
        settle(book, conversation, books.policy, books.clock_ms)
    books.add_usage(book, conversation, previous_day)
    book.add_cause(metered)
    if was_unknown:
        _charge_held(books, book, 1)


def apply_occurrence(books: Books, metered: OccurrenceMetered) -> None:
    """Count an event outside conversations. Does nothing for a repeat."""
    source = books.source
    if source.has_passed(metered) or metered.origin_offset in source.recent:
        return
    source.recent.add(metered.origin_offset)
    source.newest_offset = max(source.newest_offset, metered.origin_offset)
    source.occurrences += 1
    book = books.book(metered.workspace_id)
    _note_first_event(books, book, metered.bot_id)
    book.wallet.occurrences += 1
    was_unknown = book.wallet.status == "unknown"
    provision_from(books, book, metered.at_ms)
    books.usage(book, metered.bot_id, metered.at_ms).count_occurrence(metered.kind)
    book.add_cause(metered)
    if was_unknown:
        _charge_held(books, book, 0)


def _note_first_event(books: Books, book: Book, bot_id: str) -> None:
    """Note where the events of a workspace begin, and a bot that no command has named.

    Called before a conversation or an occurrence is counted.
    """
    wallet = book.wallet
    if bot_id not in wallet.bots:
        book.meet(bot_id)
    if not wallet.conversations and not wallet.occurrences:
        wallet.events_since = books.version


def _charge_held(books: Books, book: Book, charged: int) -> None:
    """Charge the conversations that were held before the event that has just provisioned their workspace.

    `charged` of the conversations are charged already.
    """
    if book.wallet.status != "unknown" and len(book.conversations) > charged:
        rebill(books, book)


def _count_messages(books: Books, book: Book, conversation: BilledConversation, sign: int) -> None:
    source = books.source
    if conversation.origin_offset > source.newest_offset:
        source.newest_offset = conversation.origin_offset
    if conversation.state == "closed":
        source.messages += sign * conversation.messages
        book.wallet.messages += sign * conversation.messages
