"""The commands of orders: placed, cancelled, refunded (docs/adr/0036)."""

from typing import Final

from meter.core.rejection import Rejected
from meter.core.wallet.auto_reload import BACK_OFF_MS
from meter.core.wallet.book import Book
from meter.core.wallet.commands.outcome import Done, Repeated
from meter.core.wallet.plan_terms import in_force
from meter.core.wallet.posting import Posting
from meter.core.wallet.purchases import AUTO_PREFIX, INSTANT, Order, Refund, lot_id_of
from meter.core.wallet.scope_watch import scope_of, touch_order, touch_scope
from schemas.commands import PlanName
from schemas.money import DOLLAR_MICROS, dollars
from schemas.payment_commands import OrderCancelled, OrderPlaced, OrderRefunded
from schemas.plans import PLANS

CENT_MICROS: Final = DOLLAR_MICROS // 100


def accept_order(book: Book, command: OrderPlaced, at_ms: int) -> Done | Repeated | Rejected:
    """Place an order. One by card or PayPal asks for its payment at once; a wire transfer or ACH waits to clear.

    A second command with the same id and terms is a repeat. Refused: `conflict` for other terms, `invalid` for what is
    not in whole cents or contradicts the saved method, `amount_below_minimum`, `amount_above_maximum`, and
    `payment_in_progress` for an instant payment while another one of the scope is not answered.
    """
    data, purchases = command.data, book.wallet.purchases
    bot_id, method_id = data.bot_id or "", data.method_id or ""
    order = Order(data.order_id, "manual", bot_id, data.amount_micros, data.method, method_id, at_ms)
    known = purchases.orders.get(order.order_id)
    if known is not None and _terms(known) == _terms(order):
        return Repeated()
    if known is not None or order.lot_id in book.wallet.lots.by_id:
        return Rejected("conflict", f"data.order_id: {order.order_id} was ordered otherwise before")
    refused = amount_refusal(book, bot_id, at_ms, "data.amount_micros", order.amount_micros) or _refusal(book, order)
    if refused is not None:
        return refused
    purchases.orders[order.order_id] = order
    touch_order(book, order)
    if order.method not in INSTANT:
        return Done()
    scope_of(book, bot_id).instant_order = order.order_id
    touch_scope(book, bot_id)
    return Done(requested=order)


def _terms(order: Order) -> tuple[object, ...]:
    """The terms that must agree in a repeat."""
    return order.kind, order.bot_id, order.amount_micros, order.method, order.method_id, order.placed_ms


def _refusal(book: Book, order: Order) -> Rejected | None:
    if order.order_id.startswith(AUTO_PREFIX):
        return Rejected("invalid", f"data.order_id: {AUTO_PREFIX} begins the ids of auto-reloads; choose another one")
    saved = book.wallet.purchases.methods.get(order.method_id)
    if saved is not None and saved.kind != order.method:
        return Rejected("invalid", f"data.method: is {order.method}, but {order.method_id} was saved as {saved.kind}")
    scope = book.wallet.purchases.scopes.get(order.bot_id)
    if order.method in INSTANT and scope is not None and scope.instant_order:
        reason = f"data.order_id: order {scope.instant_order} waits for its payment; wait for it, or cancel it"
        return Rejected("payment_in_progress", reason)
    return None


def amount_refusal(book: Book, bot_id: str, at_ms: int, field: str, amount_micros: int) -> Rejected | None:
    """Return the refusal of an amount that the scope's plan does not allow for one order; None if it does."""
    plan = PLANS[_plan_of(book, bot_id, at_ms)]
    if amount_micros % CENT_MICROS:
        return Rejected("invalid", f"{field}: must be whole cents, a multiple of {CENT_MICROS}")
    if amount_micros < plan.minimum_top_up_micros:
        least = dollars(plan.minimum_top_up_micros)
        return Rejected("amount_below_minimum", f"{field}: {dollars(amount_micros)} is less than the minimum, {least}")
    if amount_micros > plan.maximum_top_up_micros:
        most = dollars(plan.maximum_top_up_micros)
        return Rejected("amount_above_maximum", f"{field}: {dollars(amount_micros)} is more than the maximum, {most}")
    return None


def _plan_of(book: Book, bot_id: str, at_ms: int) -> PlanName:
    """The plan of a scope; Standard where no plan is known yet."""
    bot = book.wallet.bots.get(bot_id)
    if not book.wallet.plan.terms and (bot is None or bot.plan.at(at_ms) is None):
        return "standard"
    return in_force(book.wallet.plan, bot.plan if bot else None, at_ms).plan


def cancel_order(book: Book, command: OrderCancelled, at_ms: int) -> Done | Repeated | Rejected:
    """Give up an order that waits. An automatic one is tried again an hour later, like one that failed.

    Refused: `unknown_order`, and `already_settled`. One that failed or was cancelled before is a repeat.
    """
    order = book.wallet.purchases.orders.get(command.data.order_id)
    if order is None:
        return unknown_order(book, command.data.order_id)
    if order.has_settled:
        return Rejected("already_settled", f"data.order_id: {order.order_id} is paid; refund it instead")
    if not order.is_open:
        return Repeated()
    order.status = "cancelled"
    close(book, order, at_ms)
    return Done()


def close(book: Book, order: Order, at_ms: int) -> None:
    """Take an order that brought no money out of its scope. An automatic one lets the next attempt wait."""
    touch_order(book, order)
    if order.kind == "manual" and order.method not in INSTANT:
        return
    scope = scope_of(book, order.bot_id)
    scope.release(order.order_id)
    if order.kind == "auto":
        scope.count(order, -1)
        scope.waits_until_ms = at_ms + BACK_OFF_MS
    touch_scope(book, order.bot_id)


def unknown_order(book: Book, order_id: str) -> Rejected:
    """Return the refusal of a command about an order that was never placed."""
    if lot_id_of(order_id) in book.wallet.lots.by_id:
        return Rejected(
            "already_settled", f"data.order_id: {order_id} is a purchase that has cleared; refund it instead"
        )
    return Rejected("unknown_order", f"data.order_id: {order_id} was never placed")


def refund_order(book: Book, command: OrderRefunded, at_ms: int) -> Done | Repeated | Rejected:
    """Debit what was paid back from the lot of a settled order, or of a purchase that cleared elsewhere.

    A second command with the same refund id and terms is a repeat. Refused: `conflict` for other terms,
    `unknown_order`, and `more_than_left` for more than is left of the lot.
    """
    data, purchases = command.data, book.wallet.purchases
    refund = Refund(data.order_id, data.amount_micros)
    known = purchases.refunds.get(data.refund_id)
    if known is not None:
        reason = f"data.refund_id: {data.refund_id} was another refund before"
        return Repeated() if known == refund else Rejected("conflict", reason)
    lot, order = book.wallet.lots.by_id.get(lot_id_of(data.order_id)), purchases.orders.get(data.order_id)
    if lot is None and order is None:
        return unknown_order(book, data.order_id)
    left_micros = 0 if lot is None else max(0, lot.remaining_micros)
    if lot is None or data.amount_micros > left_micros:
        reason = f"data.amount_micros: of order {data.order_id} {dollars(left_micros)} is left"
        return Rejected("more_than_left", reason)
    book.post(lot, "refund", -data.amount_micros, Posting.of_lot(lot.bot_id, at_ms))
    purchases.refunds[data.refund_id] = refund
    book.touched.purchases.add(("refund", data.refund_id))
    if order is not None:
        order.status = "refunded"
        order.refunded_micros += data.amount_micros
        touch_order(book, order)
    return Done()
