"""Auto-reload: the orders that a scope places itself when its balance is below its threshold (docs/adr/0036)."""

from typing import Final

from meter.core.wallet.book import Book
from meter.core.wallet.books import Books
from meter.core.wallet.purchases import AUTO_PREFIX, INSTANT, Order, Scope, lot_id_of, next_day_ms, next_month_ms
from meter.core.wallet.scope_watch import note_scope
from schemas.command_base import Command
from schemas.ids import digest
from schemas.instants import HOUR_MS, from_ms, to_ms
from schemas.metered import ConversationMetered, OccurrenceMetered, WalletInput
from schemas.payments import PaymentRequest

BACK_OFF_MS: Final = HOUR_MS
"""How long after an attempt that failed the next one comes, in event time."""

MOST_FAILURES: Final = 3
"""So many attempts that fail in a row switch an auto-reload off."""


def order_due_reloads(books: Books, cause: WalletInput) -> None:
    """Look at the scopes whose balance, setting or order the input `cause` has changed, and place what is due.

    They are looked at in the order of their names, each once: which debit came first does not matter.
    """
    now_ms = _now_ms(books, cause)
    due = sorted(dict.fromkeys(books.due_scopes), key=lambda each: (each[0].wallet.workspace_id, each[1]))
    books.due_scopes.clear()
    for book, bot_id in due:
        _look_at(books, book, bot_id, now_ms)
    assert not books.due_scopes, "to place an order moves no credit"


def _look_at(books: Books, book: Book, bot_id: str, now_ms: int) -> None:
    scope, watch = book.wallet.purchases.scopes[bot_id], book.watch
    assert watch is not None, "what is due was watched"
    books.open_answers(book)
    if 0 < scope.waits_until_ms <= now_ms:
        scope.waits_until_ms = 0
        note_scope(book, bot_id)
    floor_micros = scope.floor_micros
    if floor_micros is not None and watch.balances.get(bot_id, 0) < floor_micros:
        now_ms = scope.move_to(now_ms)
        scope.waits_until_ms = _capped_until_ms(scope, now_ms)
        if not scope.waits_until_ms:
            books.payment_requests.append(request_of(book, _order_reload(book, bot_id, scope, now_ms)))
        note_scope(book, bot_id)
    if scope.waits_until_ms:
        books.timers.watch_scope(book, bot_id, scope)
    watch.arm(bot_id, scope)


def _capped_until_ms(scope: Scope, now_ms: int) -> int:
    """When a maximum allows the next order; 0 if it does now."""
    until_ms = 0
    if scope.max_per_day_micros is not None and scope.day_micros + scope.reload_micros > scope.max_per_day_micros:
        until_ms = next_day_ms(now_ms)
    if scope.max_per_month_micros is not None and scope.month_micros + scope.reload_micros > scope.max_per_month_micros:
        until_ms = next_month_ms(now_ms)
    return until_ms


def _order_reload(book: Book, bot_id: str, scope: Scope, now_ms: int) -> Order:
    """Place one order of exactly the owner's amount."""
    purchases = book.wallet.purchases
    method = purchases.methods[scope.method_id].kind
    order = Order(_next_id(book, bot_id, scope), "auto", bot_id, scope.reload_micros, method, scope.method_id, now_ms)
    order.attempt = scope.failures + 1
    purchases.orders[order.order_id] = order
    scope.auto_order = order.order_id
    if method in INSTANT:
        scope.instant_order = order.order_id
    scope.count(order, +1)
    book.touched.purchases.add(("order", order.order_id))
    return order


def _next_id(book: Book, bot_id: str, scope: Scope) -> str:
    """An id that follows from the workspace, the scope and the number of its automatic orders.

    A purchase that cleared elsewhere may have taken any id, so one that is taken is left out.
    """
    while True:
        scope.placed += 1
        found = AUTO_PREFIX + digest(book.wallet.workspace_id, bot_id, str(scope.placed)).hex()
        if found not in book.wallet.purchases.orders and lot_id_of(found) not in book.wallet.lots.by_id:
            return found


def request_of(book: Book, order: Order) -> PaymentRequest:
    """Return the request for the payment of an order."""
    return PaymentRequest(
        workspace_id=book.wallet.workspace_id,
        order_id=order.order_id,
        bot_id=order.bot_id or None,
        amount_micros=order.amount_micros,
        method=order.method,
        method_id=order.method_id,
        attempt=order.attempt,
        idempotency_key=digest(book.wallet.workspace_id, order.order_id, str(order.attempt)).hex(),
        requested_at=from_ms(order.placed_ms),
    )


def _now_ms(books: Books, cause: WalletInput) -> int:
    """Event time: the workspaces' clock. Before the first safe point it is the input's own time, or its arrival."""
    if books.clock_ms:
        return books.clock_ms
    match cause:
        case Command(time=time):
            own_ms = to_ms(time)
        case ConversationMetered(last_ms=own_ms) | OccurrenceMetered(at_ms=own_ms):
            pass
        case _:
            own_ms = books.arrived_ms
    return min(own_ms, books.arrived_ms)
