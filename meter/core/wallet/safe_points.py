"""Applying a safe point: event time moves on, and with it what lapses and what is forgotten.

A forgotten conversation cannot be charged again: it is forgotten only after a safe point, and later updates with an
origin up to that point's offset are repeats (docs/adr/0005).
"""

from meter.core.wallet.books import Books
from meter.core.wallet.charge import needs_settling, pass_time
from meter.core.wallet.daily_usage import UsageKey
from meter.core.wallet.scope_watch import touch_scope
from schemas.instants import day_of
from schemas.metered import SafePoint


def apply_safe_point(books: Books, point: SafePoint) -> None:
    """Enter grants that begin, lapse those that end, forget conversations and days that can no longer change.

    Ignores a point that is not newer than the last one.
    """
    source, timers = books.source, books.timers
    if point.origin_offset <= source.safe_offset:
        return
    begun = [(books.book(book.wallet.workspace_id), bot_id) for book, bot_id in timers.due_terms(point.watermark_ms)]
    for book, _ in begun:
        books.open_answers(book)
    source.reach(point)
    clock_ms = books.clock_ms
    for book, lot in timers.due_lots(clock_ms):
        pass_time(books.book(book.wallet.workspace_id), lot, clock_ms)
    for book, bot_id in begun:
        book.changes.answer_again(bot_id)
    for book, bot_id in timers.due_scopes(clock_ms):
        books.open_answers(book)
        touch_scope(books.book(book.wallet.workspace_id), bot_id)
    for book, conversation in timers.expired_conversations(clock_ms, source.safe_offset):
        if book.wallet.is_rebilling and needs_settling(book, conversation, books.policy):
            continue  # It is watched again when its slice has charged it.
        books.book(book.wallet.workspace_id).forget_conversation(conversation)
        books.watch_if_empty(book, UsageKey(conversation.bot_id, day_of(conversation.first_ms)))
    for book, key in timers.expired_usage(clock_ms):
        books.book(book.wallet.workspace_id).forget_usage(key)
