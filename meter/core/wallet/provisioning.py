"""Charging what was held, once a policy provisions unknown workspaces that the one before it held.

There may be a million such workspaces, and a million conversations of one of them. They are charged in slices, like a
change of plan (`rebilling.py`), so that other workspaces are not held up. The input that puts the policy in force
orders the first slice; each slice belongs to an input of its own, a `HeldSlice`, which orders the next one. A
workspace with more conversations than a slice is charged by `RebillSlice`s, and the last of them orders the next
`HeldSlice`. So where a slice happens follows from the log alone.

Which workspaces are left follows from the state: they are unknown still, and were held before the policy. One that an
event touches in between is provisioned and charged then. A policy that holds again changes nothing for them: whether
they are charged must not depend on where the slices happen.
"""

from meter.core.wallet import rebilling
from meter.core.wallet.book import Book
from meter.core.wallet.books import Books
from meter.core.wallet.commands.workspace import begin_earlier, provision
from schemas.instants import DAY_MS
from schemas.metered import HeldSlice


def provision_from(books: Books, book: Book, at_ms: int) -> None:
    """Create an unknown workspace, with a free grant from the event's time on, or from that of its first held event.

    An event with an earlier time that arrives later moves the grant's term back. Creates nothing under the policy
    `hold`. The event must be counted already.
    """
    wallet = book.wallet
    if wallet.status == "unknown":
        if books.policy.unknown_workspace == "hold" and not _is_released(books, book):
            return
        begun_ms = _held_from_ms(book, at_ms)
        provision(book, at_ms if begun_ms is None else min(at_ms, begun_ms), books.policy, books.clock_ms)
    elif at_ms < book.seen_from_ms and wallet.status == "provisioned":
        book.seen_from_ms = at_ms
        begin_earlier(book, at_ms)
    books.watch_new_lots(book)


def charge_at_once(books: Books) -> None:
    """Create each unknown workspace from its first remembered event on, and charge its conversations."""
    for workspace_id in sorted(books.by_id):
        if _held_from_ms(books.by_id[workspace_id], books.clock_ms) is not None:
            _charge(books, workspace_id)


def charge_in_slices(books: Books) -> None:
    """Order the first slice, unless one is to come already."""
    books.held.until = books.version
    if not books.held.goes_on and any(_is_released(books, book) for book in books.by_id.values()):
        books.order_held_slice()


def apply_held_slice(books: Books, due: HeldSlice) -> None:
    """Do the slice that the partition waits for. Ignores a repeat."""
    held = books.held
    if not held.is_due or held.slice != due.slice:
        return
    held.is_due = False
    if books.released is None:
        found = (workspace_id for workspace_id, book in books.by_id.items() if _is_released(books, book))
        books.released = sorted(found, reverse=True)
    conversations = entries = 0
    while books.released:
        if conversations >= rebilling.SLICE_CONVERSATIONS or entries >= rebilling.SLICE_ENTRIES:
            books.order_held_slice()
            return
        workspace_id = books.released.pop()
        book = books.read(workspace_id)
        assert book is not None, "a book is never removed"
        if not _is_released(books, book):
            continue  # It was touched in between.
        entries_before = len(book.entries)
        _charge(books, workspace_id)
        conversations += max(1, len(book.conversations))
        entries += len(book.entries) - entries_before
        if book.wallet.is_rebilling:
            held.after = workspace_id
            return


def _held_from_ms(book: Book, clock_ms: int) -> int | None:
    """The earliest time known of a workspace that is held; None of any other workspace.

    No conversation of it is forgotten. Of an event outside conversations at most the day is known, or `clock_ms`.
    """
    if not book.wallet.is_held:
        return None
    begun_ms = [each.first_ms for each in book.conversations.values()] or [key.day * DAY_MS for key in book.usage]
    return min(begun_ms, default=clock_ms)


def _charge(books: Books, workspace_id: str) -> None:
    """Provision a held workspace, and charge its conversations, or the first slice of them."""
    book = books.book(workspace_id)
    begun_ms = _held_from_ms(book, books.clock_ms)
    assert begun_ms is not None, "only what is held is charged"
    provision_from(books, book, begun_ms)
    rebilling.rebill(books, book)


def _is_released(books: Books, book: Book) -> bool:
    """Whether a workspace was held, and a policy has ordered since that what was held is charged."""
    wallet = book.wallet
    if wallet.status != "unknown" or not wallet.conversations + wallet.occurrences:
        return False
    return wallet.events_since <= books.held.until and books.held.until >= 0
