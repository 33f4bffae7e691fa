"""The commands that say what became of a payment: settled, failed, or waiting for the payer (docs/adr/0036).

An answer may come twice, late, or after its order was cancelled. Each of these is a case of the table here.
"""

from meter.core.rejection import Rejected
from meter.core.wallet.auto_reload import MOST_FAILURES
from meter.core.wallet.book import Book
from meter.core.wallet.commands.credit import add_credit
from meter.core.wallet.commands.moment import Moment
from meter.core.wallet.commands.orders import close, unknown_order
from meter.core.wallet.commands.outcome import Done, Repeated
from meter.core.wallet.lots import Lot
from meter.core.wallet.purchases import Order
from meter.core.wallet.scope_watch import scope_of, touch_order, touch_scope
from schemas.ledger import LotKind
from schemas.money import dollars
from schemas.payment_commands import PaymentActionRequired, PaymentFailed, PaymentSettled


def settle_order(book: Book, command: PaymentSettled, at_ms: int, now: Moment) -> Done | Repeated | Rejected:
    """Credit an order whose money has arrived, in any state: money that is there belongs to the payer.

    The same payment again is a repeat. Refused: `unknown_order`, and `conflict` for another amount than the order's or
    for a second payment of it, which has to be given back.
    """
    data = command.data
    order = book.wallet.purchases.orders.get(data.order_id)
    if order is None:
        return unknown_order(book, data.order_id)
    if data.amount_micros != order.amount_micros:
        expected = dollars(order.amount_micros)
        return Rejected(
            "conflict", f"data.amount_micros: order {order.order_id} is of {expected}, and of no other amount"
        )
    if order.has_settled:
        reason = f"data.payment_id: order {order.order_id} was paid by {order.payment_id}; give this payment back"
        return Repeated() if order.payment_id == data.payment_id else Rejected("conflict", reason)
    kind: LotKind = "designated" if order.bot_id else "shared"
    outcome = add_credit(book, Lot(order.lot_id, kind, order.bot_id, 0, at_ms), order.amount_micros, now)
    if isinstance(outcome, Rejected):
        return outcome
    was_open = order.is_open
    order.status, order.settled_ms, order.payment_id, order.reason = "settled", at_ms, data.payment_id, None
    touch_order(book, order)
    _credit_scope(book, order, was_open=was_open)
    return Done()


def _credit_scope(book: Book, order: Order, *, was_open: bool) -> None:
    """Release the scope of a settled order. An automatic one ends the row of failures, also if it settles late."""
    scope = book.wallet.purchases.scopes.get(order.bot_id)
    if scope is None:
        return
    scope.release(order.order_id)
    if order.kind == "auto":
        scope.failures = scope.waits_until_ms = 0
        if not was_open:
            scope.count(order, +1)
    touch_scope(book, order.bot_id)


def fail_order(book: Book, command: PaymentFailed, at_ms: int) -> Done | Repeated | Rejected:
    """Note that the payment of an order has failed. The third automatic one in a row switches the auto-reload off.

    An order that does not wait any more is not changed: the answer is late, or a repeat. Refused: `unknown_order`.
    """
    data = command.data
    order = book.wallet.purchases.orders.get(data.order_id)
    if order is None:
        return unknown_order(book, data.order_id)
    if not order.is_open:
        return Repeated()
    order.status, order.reason, order.payment_id = "failed", data.reason, data.payment_id
    if order.kind == "auto":
        scope = scope_of(book, order.bot_id)
        scope.failures += 1
        scope.enabled = scope.enabled and scope.failures < MOST_FAILURES
    close(book, order, at_ms)
    return Done()


def require_action(book: Book, command: PaymentActionRequired) -> Done | Repeated | Rejected:
    """Note that the payment of an order waits for the payer. Refused: `unknown_order`.

    An order that does not wait for its first answer is not changed.
    """
    order = book.wallet.purchases.orders.get(command.data.order_id)
    if order is None:
        return unknown_order(book, command.data.order_id)
    if order.status != "pending":
        return Repeated()
    order.status, order.payment_id = "action_required", command.data.payment_id
    touch_order(book, order)
    return Done()
