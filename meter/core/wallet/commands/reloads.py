"""The commands of payment methods and of the auto-reload of a scope (docs/adr/0036)."""

from typing import Final

from meter.core.card_numbers import card_number_refusal
from meter.core.rejection import Rejected
from meter.core.wallet.book import Book
from meter.core.wallet.commands.orders import amount_refusal
from meter.core.wallet.commands.outcome import Done
from meter.core.wallet.purchases import Method, lot_id_of
from meter.core.wallet.scope_watch import scope_of, touch_scope
from schemas.payment_commands import AutoReloadData, AutoReloadSet, MethodRemoved, MethodSaved

WIRE: Final = "wire"
"""What a method id may not say: a wire transfer is sent by the payer each time."""

_UNKNOWN_METHOD: Final = Rejected(
    "unknown_method", "data.method_id: no such method is saved; save it first, with billing.method.saved"
)


def save_method(book: Book, command: MethodSaved) -> Done | Rejected:
    """Keep a payment method. Refused as `card_number` if a field looks like one; the refusal does not repeat it."""
    data = command.data
    refused = card_number_refusal(data)
    if refused is not None:
        return refused
    book.wallet.purchases.methods[data.method_id] = Method(data.kind, data.label, data.expires or "")
    book.touched.purchases.add(("method", data.method_id))
    book.changed = True
    return Done()


def remove_method(book: Book, command: MethodRemoved) -> Done | Rejected:
    """Forget a payment method, and switch off the auto-reloads that pay with it. Refused: `unknown_method`."""
    method_id, purchases = command.data.method_id, book.wallet.purchases
    if method_id not in purchases.methods:
        return _UNKNOWN_METHOD
    del purchases.methods[method_id]
    book.touched.purchases.add(("method", method_id))
    book.changed = True
    for bot_id, scope in purchases.scopes.items():
        if scope.enabled and scope.method_id == method_id:
            scope.enabled = False
            touch_scope(book, bot_id)
    return Done()


def set_auto_reload(book: Book, command: AutoReloadSet, at_ms: int) -> Done | Rejected:
    """Set the auto-reload of a scope. It forgets failures and waits: enabled below its threshold, it orders at once.

    To enable it is refused: `no_completed_top_up`, `method_not_allowed` for a wire transfer, `unknown_method`,
    `amount_below_minimum`, `amount_above_maximum`, and `invalid` for what is not in whole cents or for a maximum that
    no order keeps.
    """
    data = command.data
    bot_id = data.bot_id or ""
    refused = _refusal(book, data, bot_id, at_ms) if data.enabled else None
    if refused is not None:
        return refused
    scope = scope_of(book, bot_id)
    scope.is_set, scope.enabled = True, data.enabled
    scope.reload_micros, scope.threshold_micros, scope.method_id = (
        data.reload_micros,
        data.threshold_micros,
        data.method_id,
    )
    scope.max_per_day_micros, scope.max_per_month_micros = data.max_per_day_micros, data.max_per_month_micros
    scope.failures = scope.waits_until_ms = 0
    touch_scope(book, bot_id)
    return Done()


def _refusal(book: Book, data: AutoReloadData, bot_id: str, at_ms: int) -> Rejected | None:
    if data.method_id == WIRE:
        return Rejected(
            "method_not_allowed", "data.method_id: a wire transfer cannot reload; save a card, PayPal or ACH"
        )
    if data.method_id not in book.wallet.purchases.methods:
        return _UNKNOWN_METHOD
    # An automatic order comes only after one that a person has placed, so any order that has settled will do.
    if not any(lot_id.startswith(lot_id_of("")) for lot_id in book.wallet.lots.by_id):
        return Rejected("no_completed_top_up", "data.enabled: complete one order of credit first")
    for field in ("max_per_day_micros", "max_per_month_micros"):
        most_micros = getattr(data, field)
        if most_micros is not None and most_micros < data.reload_micros:
            return Rejected("invalid", f"data.{field}: is less than one reload; raise it, or leave it out")
    return amount_refusal(book, bot_id, at_ms, "data.reload_micros", data.reload_micros)
