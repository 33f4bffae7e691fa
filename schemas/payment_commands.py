"""Account commands about money on its way: orders, what became of their payments, payment methods, auto-reload.

A scope is the credit that one bot has to itself, where `bot_id` is given, else the credit that all bots share. Amounts
are in micro-dollars. The rules are in docs/adr/0036.
"""

from typing import Annotated, Literal

import msgspec

from schemas.command_base import Amount, Command, PositiveAmount
from schemas.events import Name

PaymentMethod = Literal["card", "paypal", "wire", "ach"]
"""How an order is paid. A card and PayPal answer at once; a wire transfer and ACH take days to clear."""

SavedMethod = Literal["card", "paypal", "ach"]
"""Methods that can be kept for later orders. A wire transfer is sent by the payer each time."""

FailureReason = Literal["declined", "expired", "error"]
"""Why a payment failed: the payer's bank refused it, the method is past its expiry, or anything else."""

Label = Annotated[str, msgspec.Meta(max_length=128)]
"""A method's name for people, such as `Visa ··4242`."""

Month = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])\Z", max_length=7)]
"""A calendar month as `2027-03`: the expiry that is printed on a card."""


class OrderData(msgspec.Struct, frozen=True, kw_only=True):
    """An order of credit for one scope. `order_id` names it for ever.

    `method_id` is that of a saved method, or one that the payment gateway gave for this order alone.
    """

    workspace_id: Name
    order_id: Name
    amount_micros: PositiveAmount
    method: PaymentMethod
    bot_id: Name | None = None
    method_id: Name | None = None


class OrderPlaced(Command, frozen=True, tag="billing.order.placed"):
    """Orders credit. The credit is there when the payment settles."""

    data: OrderData


class SettledData(msgspec.Struct, frozen=True, kw_only=True):
    """A payment that has arrived. `payment_id` is the gateway's name for it; `amount_micros` must be the order's."""

    workspace_id: Name
    order_id: Name
    payment_id: Name
    amount_micros: PositiveAmount


class PaymentSettled(Command, frozen=True, tag="billing.payment.settled"):
    """Says that the money of an order has arrived: its credit is added."""

    data: SettledData


class FailedData(msgspec.Struct, frozen=True, kw_only=True):
    """A payment that will not arrive, and why."""

    workspace_id: Name
    order_id: Name
    payment_id: Name
    reason: FailureReason


class PaymentFailed(Command, frozen=True, tag="billing.payment.failed"):
    """Says that the payment of an order has failed."""

    data: FailedData


class ActionData(msgspec.Struct, frozen=True, kw_only=True):
    """A payment that waits for the payer, for example to confirm it with the bank."""

    workspace_id: Name
    order_id: Name
    payment_id: Name


class PaymentActionRequired(Command, frozen=True, tag="billing.payment.action_required"):
    """Says that a payment waits for an act of the payer."""

    data: ActionData


class CancelledData(msgspec.Struct, frozen=True, kw_only=True):
    """The order that is given up."""

    workspace_id: Name
    order_id: Name


class OrderCancelled(Command, frozen=True, tag="billing.order.cancelled"):
    """Gives up an order that is not paid yet. Money that arrives for it later is still credited."""

    data: CancelledData


class RefundData(msgspec.Struct, frozen=True, kw_only=True):
    """Money of a settled order that went back to the payer. `refund_id` debits once."""

    workspace_id: Name
    order_id: Name
    refund_id: Name
    amount_micros: PositiveAmount


class OrderRefunded(Command, frozen=True, tag="billing.order.refunded"):
    """Debits what was paid back, from the credit that is left of the order."""

    data: RefundData


class MethodData(msgspec.Struct, frozen=True, kw_only=True):
    """A payment method as the gateway keeps it. Nothing in it may be the number of a card."""

    workspace_id: Name
    method_id: Name
    kind: SavedMethod
    label: Label = ""
    expires: Month | None = None


class MethodSaved(Command, frozen=True, tag="billing.method.saved"):
    """Keeps a payment method for later orders, or replaces what was kept under its id."""

    data: MethodData


class MethodRemovedData(msgspec.Struct, frozen=True, kw_only=True):
    """The method to forget."""

    workspace_id: Name
    method_id: Name


class MethodRemoved(Command, frozen=True, tag="billing.method.removed"):
    """Forgets a payment method. Auto-reloads that pay with it are switched off."""

    data: MethodRemovedData


class AutoReloadData(msgspec.Struct, frozen=True, kw_only=True):
    """The auto-reload of one scope: below `threshold_micros` it orders `reload_micros`, paid with a saved method.

    Orders of one UTC day, or month, do not exceed the maximum, if there is one.
    """

    workspace_id: Name
    enabled: bool
    reload_micros: PositiveAmount
    threshold_micros: Amount
    method_id: Name
    bot_id: Name | None = None
    max_per_day_micros: PositiveAmount | None = None
    max_per_month_micros: PositiveAmount | None = None


class AutoReloadSet(Command, frozen=True, tag="billing.auto_reload.set"):
    """Sets the auto-reload of a scope, on or off."""

    data: AutoReloadData


AnyPaymentCommand = (
    OrderPlaced
    | PaymentSettled
    | PaymentFailed
    | PaymentActionRequired
    | OrderCancelled
    | OrderRefunded
    | MethodSaved
    | MethodRemoved
    | AutoReloadSet
)
