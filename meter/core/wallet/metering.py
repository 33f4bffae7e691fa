"""Applying a metered update to its workspace's book. Metered updates are absolute and may repeat."""

from meter.core.wallet.billed_conversations import BilledConversation
from meter.core.wallet.book import Book
from meter.core.wallet.books import Books
from meter.core.wallet.charge import settle
from meter.core.wallet.commands.workspace import begin_earlier, provision
from meter.core.wallet.daily_usage import UsageKey
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
        wallet.conversations += 1
    elif conversation.covers(metered):
        return
    else:
        previous_day = books.subtract_usage(book, conversation)
        _count_messages(books, book, conversation, -1)
    conversation.update_from(metered)
    _count_messages(books, book, conversation, +1)
    if wallet.status != "created":
        provision_from(books, book, metered.first_ms)
    if wallet.status != "unknown":
        settle(book, conversation, books.policy, books.clock_ms)
    books.add_usage(book, conversation, previous_day)
    book.add_cause(metered)


def apply_occurrence(books: Books, metered: OccurrenceMetered) -> None:
    """Count an event outside conversations. Does nothing for a repeat."""
    source = books.source
    if source.has_passed(metered) or metered.origin_offset in source.recent:
        return
    source.recent.add(metered.origin_offset)
    source.newest_offset = max(source.newest_offset, metered.origin_offset)
    source.occurrences += 1
    book = books.book(metered.workspace_id)
    book.wallet.occurrences += 1
    provision_from(books, book, metered.at_ms)
    books.usage(book, metered.bot_id, metered.at_ms).count_occurrence(metered.kind)
    book.add_cause(metered)


def _count_messages(books: Books, book: Book, conversation: BilledConversation, sign: int) -> None:
    source = books.source
    if conversation.origin_offset > source.newest_offset:
        source.newest_offset = conversation.origin_offset
    if conversation.state == "closed":
        source.messages += sign * conversation.messages
        book.wallet.messages += sign * conversation.messages


def provision_from(books: Books, book: Book, at_ms: int) -> None:
    """Create an unknown workspace, with a free grant from the event's time on. An event with an earlier time that
    arrives later moves the grant's term back. Creates nothing under the policy `hold`.
    """
    policy = books.policy
    if book.wallet.status == "unknown":
        if policy.unknown_workspace != "provision":
            return
        provision(book, at_ms, policy, books.clock_ms)
    elif at_ms < book.seen_from_ms and book.wallet.status == "provisioned":
        book.seen_from_ms = at_ms
        begin_earlier(book, at_ms)
    books.watch_new_lots(book)
