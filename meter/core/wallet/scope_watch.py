"""The paid balances of a workspace's scopes, watched for an auto-reload.

A debit costs one addition and one comparison: with the balance below which an order is due.
"""

from typing import TYPE_CHECKING, Final

from meter.core.wallet.purchases import Order, Scope

if TYPE_CHECKING:
    from meter.core.wallet.book import Book

NEVER: Final = -(2**63)
"""Below any balance."""

DueScope = tuple["Book", str]
"""A scope that an auto-reload has to look at: its book and its bot, "" for the shared credit."""


class ScopeWatch:
    """Derived from a book's lots and scopes, and kept up to date by `Book.post` and `touch_scope`.

    `due` is the list of all books of a partition. The auto-reload empties it after each input, so it is empty in
    between.
    """

    __slots__ = ("_book", "_due", "_floors", "balances")

    def __init__(self, book: "Book", due: list[DueScope]) -> None:
        self._book = book
        self._due = due
        self.balances: dict[str, int] = {}
        self._floors: dict[str, int] = {}
        for lot in book.wallet.lots.by_id.values():
            if lot.kind != "free":
                self.balances[lot.bot_id] = self.balances.get(lot.bot_id, 0) + lot.remaining_micros
        for bot_id, scope in book.wallet.purchases.scopes.items():
            self.arm(bot_id, scope)

    def add(self, bot_id: str, amount_micros: int) -> None:
        """Add a movement of paid credit. A balance that falls below its floor makes its scope due."""
        balance_micros = self.balances[bot_id] = self.balances.get(bot_id, 0) + amount_micros
        if balance_micros < self._floors.get(bot_id, NEVER):
            self._due.append((self._book, bot_id))

    def arm(self, bot_id: str, scope: Scope) -> None:
        """Set the floor of a scope that has been looked at."""
        floor_micros = scope.floor_micros
        self._floors[bot_id] = NEVER if floor_micros is None else floor_micros

    def look_at(self, bot_id: str) -> None:
        """Make a scope due that has changed."""
        self._due.append((self._book, bot_id))


def scope_of(book: "Book", bot_id: str) -> Scope:
    """Return what a scope of paid credit has on its way, which the caller is about to change. See `touch_scope`."""
    return book.wallet.purchases.scopes.setdefault(bot_id, Scope())


def note_scope(book: "Book", bot_id: str) -> None:
    """Put a changed scope into the next checkpoint, and answer its bots again: a reload lets them go on."""
    book.touched.purchases.add(("scope", bot_id))
    book.changes.answer_again(bot_id)


def touch_scope(book: "Book", bot_id: str) -> None:
    """Put a changed scope into the next checkpoint, and let the auto-reload look at it after this input."""
    note_scope(book, bot_id)
    book.changed = True
    if book.watch is not None:
        book.watch.look_at(bot_id)


def touch_order(book: "Book", order: Order) -> None:
    """Put a changed order into the next checkpoint."""
    book.touched.purchases.add(("order", order.order_id))
    book.changed = True
