"""Orders and auto-reload, written a second time, naively: every question is answered from the whole history.

It keeps no counter, no wait and no flag. It looks at all scopes after every act, and adds up lots and orders each time.
"""

from dataclasses import dataclass, field

from tests.oracle.entitlements import Bot
from tests.oracle.reading import DAY_MS, MINUTE_MS
from tests.oracle.wallet import Account, Lot

HOUR_MS = 60 * MINUTE_MS
INSTANT = ("card", "paypal")
OPEN = ("pending", "action_required")


@dataclass
class Order:
    """An order of a scope; `scope` is a bot, or "" for the shared credit."""

    number: int
    kind: str
    scope: str
    amount: int
    method: str
    placed: int
    attempt: int = 1
    status: str = "pending"
    payment: str = ""
    lot: str = ""


@dataclass(frozen=True)
class Setting:
    """What an owner has set."""

    enabled: bool
    amount: int
    threshold: int
    method: str
    per_day: int | None = None
    per_month: int | None = None


@dataclass
class Event:
    """What an auto-reload's past is made of: set, off, failed, cancelled, settled."""

    kind: str
    at: int


@dataclass
class Book:
    """One workspace. `clock` is event time. Each method is one act, and says why it is refused, or ""."""

    clock: int = 0
    account: Account = field(default_factory=Account)
    orders: list[Order] = field(default_factory=list)
    methods: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Setting] = field(default_factory=dict)
    past: dict[str, list[Event]] = field(default_factory=dict)
    charges: dict[str, list[tuple[str, str, int]]] = field(default_factory=dict)
    asked: list[Order] = field(default_factory=list)

    def balance(self, scope: str) -> int:
        """The paid credit of a scope. What is overdrawn weighs on the shared one."""
        left = sum(lot.left for lot in self.account.lots if (lot.bot or "") == scope)
        return left if scope else left - self.account.overdrawn

    def bot(self, bot: str, price: int) -> Bot:
        """A bot on Enterprise with its credit and the reload that it may count on: its own, else the shared one."""
        own, shared = self.settings.get(bot), self.settings.get("")
        waits = [each for scope in (bot, "") for each in self.autos(scope) if each.status in OPEN][:1]
        return Bot(
            plan="enterprise",
            designated=self.balance(bot),
            shared=self.balance(""),
            price=price,
            thresholds=(own.threshold if own else None, shared.threshold if shared else None),
            reload=sum(each.amount for each in waits),
            in_flight=bool(waits),
            last_failed=any(self.failures(each.scope) for each in waits),
        )

    def credit(self, name: str, scope: str, amount: int, at: int) -> None:
        self.account.lots.append(Lot(name, "designated" if scope else "shared", scope or None, amount, at))

    def debit(self, name: str, bot: str, price: int) -> str:
        self.charges[name] = self.account.debit(bot, self.clock, price)
        return self.look()

    def undo(self, name: str) -> str:
        for lot_id, _, amount in self.charges.pop(name):
            for lot in self.account.lots:
                if lot.id == lot_id:
                    lot.left += amount
            if not lot_id:
                self.account.overdrawn -= amount
        return self.look()

    def buy(self, name: str, scope: str, amount: int) -> str:
        self.credit(name, scope, amount, self.clock)
        return self.look()

    def passes(self, at: int) -> str:
        self.clock = max(self.clock, at)
        return self.look()

    def place(self, scope: str, amount: int, method: str) -> str:
        if amount < 100_000_000:
            return "amount_below_minimum"
        if method in INSTANT and any(self.open_of(scope, INSTANT)):
            return "payment_in_progress"
        order = Order(len(self.orders), "manual", scope, amount, method, self.clock)
        self.orders.append(order)
        if method in INSTANT:
            self.asked.append(order)
        return self.look()

    def open_of(self, scope: str, methods: tuple[str, ...]) -> list[Order]:
        return [each for each in self.orders if each.scope == scope and each.status in OPEN and each.method in methods]

    def settle(self, number: int, payment: str, amount: int, lot: str) -> str:
        """`lot` is the name of what it credits: of lots of one age the lower name pays first."""
        order = self.orders[number]
        if amount != order.amount:
            return "conflict"
        if order.status in ("settled", "refunded"):
            return "" if order.payment == payment else "conflict"
        order.status, order.payment, order.lot = "settled", payment, lot
        self.credit(lot, order.scope, order.amount, self.clock)
        self.note(order, "settled")
        return self.look()

    def fail(self, number: int) -> str:
        order = self.orders[number]
        if order.status in OPEN:
            order.status = "failed"
            self.note(order, "failed")
            if order.kind == "auto" and self.failures(order.scope) == 3:
                self.past[order.scope].append(Event("off", self.clock))
        return self.look()

    def act(self, number: int) -> str:
        if self.orders[number].status == "pending":
            self.orders[number].status = "action_required"
        return self.look()

    def cancel(self, number: int) -> str:
        order = self.orders[number]
        if order.status in ("settled", "refunded"):
            return "already_settled"
        if order.status in OPEN:
            order.status = "cancelled"
            self.note(order, "cancelled")
        return self.look()

    def refund(self, number: int, amount: int) -> str:
        lots = [lot for lot in self.account.lots if lot.id == self.orders[number].lot]
        if not lots or lots[0].left < amount:
            return "more_than_left"
        lots[0].left -= amount
        self.orders[number].status = "refunded"
        return self.look()

    def save(self, method: str, kind: str) -> str:
        self.methods[method] = kind
        return self.look()

    def remove(self, method: str) -> str:
        if method not in self.methods:
            return "unknown_method"
        del self.methods[method]
        for scope, setting in self.settings.items():
            if setting.method == method:
                self.past[scope].append(Event("off", self.clock))
        return self.look()

    def set(self, scope: str, setting: Setting) -> str:
        if setting.enabled:
            if setting.method not in self.methods:
                return "unknown_method"
            if not self.account.lots:
                return "no_completed_top_up"
            if min(each for each in (setting.amount, setting.per_day, setting.per_month) if each) < setting.amount:
                return "invalid"
            if setting.amount < 100_000_000:
                return "amount_below_minimum"
        self.settings[scope] = setting
        self.past.setdefault(scope, []).append(Event("set", self.clock))
        return self.look()

    def note(self, order: Order, kind: str) -> None:
        if order.kind == "auto":
            self.past[order.scope].append(Event(kind, self.clock))

    def since(self, scope: str, *kinds: str) -> list[Event]:
        """What has happened since the last event of these kinds."""
        past = self.past[scope]
        last = max((number for number, event in enumerate(past) if event.kind in kinds), default=-1)
        return past[last + 1 :]

    def failures(self, scope: str) -> int:
        return sum(event.kind == "failed" for event in self.since(scope, "set", "settled"))

    def look(self) -> str:
        """Rule 3, of each scope: until nothing is due."""
        for scope, setting in sorted(self.settings.items(), key=lambda each: each[0]):
            if self.is_due(scope, setting):
                method = self.methods[setting.method]
                placed = max([self.clock, *(each.placed for each in self.autos(scope))])
                order = Order(len(self.orders), "auto", scope, setting.amount, method, placed, self.failures(scope) + 1)
                self.orders.append(order)
                self.asked.append(order)
        return ""

    def autos(self, scope: str) -> list[Order]:
        return [each for each in self.orders if each.kind == "auto" and each.scope == scope]

    def is_due(self, scope: str, setting: Setting) -> bool:
        is_on = setting.enabled and not any(event.kind == "off" for event in self.since(scope, "set"))
        in_flight = self.open_of(scope, INSTANT) or [each for each in self.autos(scope) if each.status in OPEN]
        tries = [event.at for event in self.since(scope, "set", "settled") if event.kind in ("failed", "cancelled")]
        backs_off = bool(tries) and self.clock < tries[-1] + HOUR_MS
        is_below = self.balance(scope) < setting.threshold
        return is_on and is_below and not in_flight and not backs_off and not self.is_capped(scope, setting)

    def is_capped(self, scope: str, setting: Setting) -> bool:
        taken = [each for each in self.autos(scope) if each.status not in ("failed", "cancelled")]
        today, month = self.clock // DAY_MS, month_of(self.clock)
        day_sum = sum(each.amount for each in taken if each.placed // DAY_MS == today)
        month_sum = sum(each.amount for each in taken if month_of(each.placed) == month)
        return bool(
            (setting.per_day and day_sum + setting.amount > setting.per_day)
            or (setting.per_month and month_sum + setting.amount > setting.per_month)
        )


def month_of(at: int) -> tuple[int, int]:
    """Year and month in UTC, by counting days from 1970 on."""
    left, year = at // DAY_MS, 1970
    while left >= (days := 366 if year % 4 == 0 and (year % 100 or year % 400 == 0) else 365):
        left, year = left - days, year + 1
    lengths = [31, 29 if days == 366 else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    month = 0
    while left >= lengths[month]:
        left, month = left - lengths[month], month + 1
    return year, month


def reloads_due(threshold: int, balance: int, amount: int) -> int:
    """Rule 3's sum, in reloads: one by one, while what they bring is not enough."""
    count = 0
    while balance + count * amount < threshold:
        count += 1
    return count
