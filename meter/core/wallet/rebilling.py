"""Charging conversations again after a change of plan, in slices (docs/adr/0025).

A change may concern a million conversations. They are charged in slices, so that no input takes long and other
workspaces are not held up. The first slice belongs to the command. Each further one belongs to an input of its own, a
`RebillSlice`, which the charger writes to the log when the slice before it has left something. So where a slice happens
follows from the log alone.

What has to be charged again follows from the state: conversations whose terms are not those in force, or that a
withdrawn grant has paid for. A conversation that is touched in between is settled then. So the queue, by time, is
derived again after a restart. To make it takes slices too (`Wallet.looks`), in which nothing is charged yet.
"""

from functools import partial
from typing import Final

from meter.core.wallet.book import Book
from meter.core.wallet.books import Books
from meter.core.wallet.charge import needs_settling, settle
from meter.core.wallet.waiting import Waiting
from schemas.metered import RebillSlice

SLICE_CONVERSATIONS: Final = 1_000
SLICE_ENTRIES: Final = 4_000
"""A slice ends after so many conversations, or when it has made so many ledger entries."""

LOOKED_AT: Final = 50_000
"""How many conversations a slice looks at, before the first is charged, to find those that need it."""


def rebill(books: Books, book: Book) -> None:
    """Charge conversations again whose charges a command has changed. Called when a plan or the grant has changed.

    If a rebilling goes on already, its next slice begins again with the earliest conversation that needs it.
    """
    book.waiting = Waiting(book.conversations.values())
    book.wallet.looks = len(book.conversations) // LOOKED_AT
    if not book.wallet.is_rebilling:
        _do_slice(books, book)


def apply_slice(books: Books, due: RebillSlice) -> None:
    """Do the slice that a workspace waits for. Ignores a repeat."""
    book = books.find(due.workspace_id)
    if book is not None and book.wallet.is_rebilling and book.wallet.slices == due.slice:
        _do_slice(books, books.book(due.workspace_id))


def _do_slice(books: Books, book: Book) -> None:
    if book.waiting is None:  # After a restart.
        book.waiting = Waiting(book.conversations.values())
    waiting, wallet = book.waiting, book.wallet
    needs = partial(needs_settling, book, policy=books.policy)
    if wallet.looks:
        wallet.looks -= 1
        waiting.look_at(LOOKED_AT, needs)
        _go_on(books, book)
        return
    waiting.look_at(None, needs)
    entries_before, conversations = len(book.entries), 0
    while (conversation := waiting.first()) is not None:
        # One that was touched since the queue was made is settled already.
        if needs(conversation):
            if conversations >= SLICE_CONVERSATIONS or len(book.entries) - entries_before >= SLICE_ENTRIES:
                _go_on(books, book)
                return
            previous_day = books.subtract_usage(book, conversation)
            settle(book, conversation, books.policy, books.clock_ms)
            books.add_usage(book, conversation, previous_day)
            conversations += 1
        waiting.drop_first()
    wallet.is_rebilling, book.waiting = False, None
    if books.held.after == wallet.workspace_id:
        books.order_held_slice()


def _go_on(books: Books, book: Book) -> None:
    wallet = book.wallet
    wallet.is_rebilling = True
    wallet.slices += 1
    books.due_slices.append(RebillSlice(workspace_id=wallet.workspace_id, slice=wallet.slices))
