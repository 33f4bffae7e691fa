"""Orders of paid credit, payment methods, and what each scope has on its way (docs/adr/0036).

A scope is named by its bot; "" is the credit that all bots share.
"""

from typing import Final, Literal

import msgspec

from schemas.instants import DAY_MS, day_of, from_ms
from schemas.payment_commands import FailureReason, PaymentMethod, SavedMethod

OrderStatus = Literal["pending", "action_required", "settled", "failed", "cancelled", "refunded"]
"""The state of an order. refunded: settled, and some or all of it was paid back."""

INSTANT: Final = ("card", "paypal")
"""Methods that answer at once. One such order of a scope at a time waits for its payment."""

AUTO_PREFIX: Final = "auto-"
"""First characters of the id of an order that an auto-reload placed."""


class Order(msgspec.Struct, array_like=True, gc=False):
    """One order of credit for a scope. Amounts are in micro-dollars, times in milliseconds of event time.

    `attempt` counts the orders of an auto-reload of which all before this one failed in a row, from 1. `settled_ms` is
    -1 before the money has arrived. `refunded_micros` is what was paid back.
    """

    order_id: str
    kind: Literal["manual", "auto"]
    bot_id: str
    amount_micros: int
    method: PaymentMethod
    method_id: str
    placed_ms: int
    status: OrderStatus = "pending"
    attempt: int = 1
    payment_id: str = ""
    settled_ms: int = -1
    reason: FailureReason | None = None
    refunded_micros: int = 0

    @property
    def is_open(self) -> bool:
        """Whether its payment is still waited for."""
        return self.status in ("pending", "action_required")

    @property
    def has_settled(self) -> bool:
        """Whether its money has arrived."""
        return self.settled_ms >= 0

    @property
    def lot_id(self) -> str:
        """The lot that it credits when it settles."""
        return lot_id_of(self.order_id)


def lot_id_of(order_id: str) -> str:
    """The lot of an order, or of a purchase that cleared elsewhere."""
    return f"order:{order_id}"


class Method(msgspec.Struct, array_like=True, gc=False):
    """A saved payment method: its kind, a label for people, and the month after which it does not pay, or ""."""

    kind: SavedMethod
    label: str = ""
    expires: str = ""


class Refund(msgspec.Struct, array_like=True, gc=False):
    """Money that went back to the payer, from the credit of an order."""

    order_id: str
    amount_micros: int


class Scope(msgspec.Struct, array_like=True, gc=False):
    """The auto-reload of a scope, and its orders that wait for a payment.

    `is_set`: an owner has set it once, so `threshold_micros` means something also while it is off. `instant_order` and
    `auto_order` are ids, "" for none; an automatic order by card is both. `failures`: attempts that have failed in a
    row. `waits_until_ms`: nothing is ordered before event time comes to it; 0 for no wait. `placed` counts the
    automatic orders, and `newest_ms` is when the last one was placed. `day_micros` and `month_micros` are the sums of
    those of the day and the month of `newest_ms` that have not failed.
    """

    is_set: bool = False
    enabled: bool = False
    reload_micros: int = 0
    threshold_micros: int = 0
    method_id: str = ""
    max_per_day_micros: int | None = None
    max_per_month_micros: int | None = None
    instant_order: str = ""
    auto_order: str = ""
    failures: int = 0
    waits_until_ms: int = 0
    placed: int = 0
    newest_ms: int = 0
    day_micros: int = 0
    month_micros: int = 0

    @property
    def in_flight(self) -> bool:
        """Whether an order waits that keeps an auto-reload from placing one."""
        return bool(self.instant_order or self.auto_order)

    @property
    def floor_micros(self) -> int | None:
        """The balance below which an order is due now; None while none can be."""
        is_ready = self.enabled and not self.in_flight and not self.waits_until_ms
        return self.threshold_micros if is_ready else None

    def release(self, order_id: str) -> None:
        """Note that the scope does not wait for this order any more."""
        if self.instant_order == order_id:
            self.instant_order = ""
        if self.auto_order == order_id:
            self.auto_order = ""

    def move_to(self, now_ms: int) -> int:
        """Begin the sums of a new day and month where `now_ms` is in one. Returns the time, which never goes back."""
        now_ms = max(now_ms, self.newest_ms)
        if day_of(now_ms) != day_of(self.newest_ms):
            self.day_micros = 0
        if month_of(now_ms) != month_of(self.newest_ms):
            self.month_micros = 0
        self.newest_ms = now_ms
        return now_ms

    def count(self, order: Order, sign: int) -> None:
        """Add (`sign` +1) or subtract (-1) an automatic order in the sums of its day and month, if they go on."""
        if day_of(order.placed_ms) == day_of(self.newest_ms):
            self.day_micros += sign * order.amount_micros
        if month_of(order.placed_ms) == month_of(self.newest_ms):
            self.month_micros += sign * order.amount_micros


class Purchases(msgspec.Struct, array_like=True):
    """All that a workspace has ordered and set, by id. `scopes` has those with an auto-reload or an order that waits.

    Orders and refunds are kept for ever, so that any repeat is found.
    """

    orders: dict[str, Order] = {}
    methods: dict[str, Method] = {}
    scopes: dict[str, Scope] = {}
    refunds: dict[str, Refund] = {}


def month_of(at_ms: int) -> tuple[int, int]:
    """The year and the month of a time in UTC."""
    at = from_ms(at_ms)
    return at.year, at.month


def next_day_ms(at_ms: int) -> int:
    """When the next day in UTC begins."""
    return (day_of(at_ms) + 1) * DAY_MS


def next_month_ms(at_ms: int) -> int:
    """When the next month in UTC begins."""
    after_ms = next_day_ms(at_ms)
    while month_of(after_ms) == month_of(at_ms):
        after_ms += DAY_MS
    return after_ms
