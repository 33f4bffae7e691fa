"""Auto-reload, cases worked out by hand: when it orders, how much, and what a failure does (INTERFACES, rule 3)."""

from collections.abc import Iterator
from typing import Any

import pytest

from schemas.instants import to_ms
from schemas.payments import PaymentRequest
from tests.oracle.build import CENT_20, HOUR, MIN, STANDARD, T0
from tests.unit.wallet_harness import WalletHarness

USD = 1_000_000
FULL = 100 * USD
Fields = dict[str, Any]
NOON = 3 * HOUR
"""T0 is nine in the morning, UTC."""


class Reloading(WalletHarness):
    """A wallet with a saved card and paid credit of $100, whose scope may reload $100 below $50."""

    def __init__(self, *, bot: str | None = None, kind: str = "card", bought: int = FULL) -> None:
        super().__init__(STANDARD)
        self.scope: Fields = {} if bot is None else {"bot_id": bot}
        self._count = 0
        self.passes(0)
        self.do("method.saved", method_id="m", kind=kind)
        self.do("credits.purchased", order_id="first", amount_micros=bought, method="card", **self.scope)

    def do(self, kind: str, /, at: int = 0, **data: Any) -> str:
        """The code of its refusal, or ""."""
        self._count += 1
        self.command(kind, at, id=f"{self._count}", **data)
        return self.refused.code if self.refused else ""

    def set(self, at: int = 0, **changed: Any) -> str:
        given = {"enabled": True, "reload_micros": FULL, "threshold_micros": 50 * USD, "method_id": "m"}
        return self.do("auto_reload.set", at, **self.scope, **given | changed)

    def spend(self, amount: int, at: int = 0) -> None:
        """Conversations that cost so much in all."""
        assert amount % CENT_20 == 0
        for _ in range(amount // CENT_20):
            self._count += 1
            self.conversation(at, id=f"c-{self._count}")

    def settle(self, number: int = -1, at: int = 0) -> str:
        asked = self.requests[number]
        about = {"order_id": asked.order_id, "amount_micros": asked.amount_micros}
        return self.do("payment.settled", at, payment_id=asked.order_id, **about)

    def fail(self, number: int = -1, at: int = 0) -> str:
        order_id = self.requests[number].order_id
        return self.do("payment.failed", at, order_id=order_id, payment_id="p", reason="declined")

    @property
    def asked(self) -> list[tuple[int, int]]:
        """Of each payment that was asked for: its attempt, and when, from T0 on."""
        return [(each.attempt, to_ms(each.requested_at) - T0) for each in self.requests]


def failing(times: int, wallet: Reloading) -> Iterator[int]:
    """Each failure at the time of its attempt, and when an hour has passed since."""
    for number in range(times):
        at = number * 2 * HOUR
        wallet.fail(at=at)
        yield number
        wallet.passes(at + 2 * HOUR)


@pytest.mark.parametrize("bot", [None, "b"])
def test_it_orders_below_the_threshold_and_not_at_it(bot: str | None) -> None:
    """X11, G5: one order, of exactly the owner's amount, for the scope itself (X13)."""
    wallet = Reloading(bot=bot)
    assert wallet.set() == ""
    wallet.spend(50 * USD)
    assert wallet.requests == []
    wallet.spend(CENT_20)
    (asked,) = wallet.requests
    assert (asked.amount_micros, asked.bot_id, asked.method, asked.method_id) == (FULL, bot, "card", "m")
    assert asked.order_id.startswith("auto-")


def test_one_order_is_in_flight_however_many_debits_come() -> None:
    """Debits while it is, and an answer that brings the balance back, ask for nothing more."""
    wallet = Reloading()
    wallet.set()
    wallet.spend(120 * USD)
    assert len(wallet.requests) == 1
    assert wallet.settle() == ""
    assert len(wallet.requests) == 1
    assert wallet.balance.paid_micros == 80 * USD


def test_it_is_looked_at_again_when_it_settles() -> None:
    """And orders again where one reload was not enough: reload x ceil((threshold - balance) / reload)."""
    wallet = Reloading()
    wallet.set(threshold_micros=450 * USD)
    for number in range(1, 5):
        assert len(wallet.requests) == number
        wallet.settle()
    assert len(wallet.requests) == 4
    assert wallet.balance.paid_micros == 5 * FULL
    assert len({each.idempotency_key for each in wallet.requests}) == 4


def test_enabling_below_the_threshold_orders_at_once() -> None:
    """And setting it again, off or higher, is looked at as well."""
    wallet = Reloading()
    wallet.set(enabled=False, threshold_micros=101 * USD)
    assert wallet.requests == []
    wallet.set(threshold_micros=FULL, at=MIN)
    assert wallet.requests == []
    wallet.passes(2 * MIN)
    wallet.set(threshold_micros=FULL + 1, at=2 * MIN)
    assert wallet.asked == [(1, 2 * MIN)]


REFUSALS: list[tuple[str, Fields, str]] = [
    ("G9 F15", {"reload_micros": FULL}, ""),
    ("G9 F15", {"reload_micros": FULL - 10_000}, "amount_below_minimum"),
    ("F11", {"reload_micros": 20_000 * USD}, ""),
    ("F11", {"reload_micros": 20_000 * USD + 10_000}, "amount_above_maximum"),
    ("X10", {"reload_micros": FULL + 1}, "invalid"),
    ("G8", {"method_id": "wire"}, "method_not_allowed"),
    ("G2", {"method_id": "other"}, "unknown_method"),
    ("", {"max_per_day_micros": FULL - 1}, "invalid"),
    ("", {"max_per_month_micros": FULL - 1}, "invalid"),
    ("", {"max_per_day_micros": FULL, "max_per_month_micros": FULL}, ""),
    ("", {"enabled": False, "method_id": "other", "reload_micros": 1}, ""),
]


@pytest.mark.parametrize(("points", "given", "code"), REFUSALS, ids=str)
def test_a_setting_is_refused_for_a_reason(points: str, given: Fields, code: str) -> None:
    """What is switched off needs no method and no amount."""
    wallet = Reloading()
    assert wallet.set(**given) == code, points
    assert wallet.wallets.books["w"].wallet.purchases.scopes.get("") is None or not code


def test_it_needs_a_completed_top_up() -> None:
    """G4: an order that waits is none, one that has settled is."""
    wallet = WalletHarness(STANDARD)
    wallet.command("method.saved", method_id="m", kind="card")
    setting = {"enabled": True, "reload_micros": FULL, "threshold_micros": 0, "method_id": "m"}
    wallet.command("order.placed", order_id="o", amount_micros=FULL, method="wire")
    wallet.command("auto_reload.set", 1, **setting)
    assert wallet.refused is not None
    assert wallet.refused.code == "no_completed_top_up"
    wallet.command("payment.settled", order_id="o", payment_id="p", amount_micros=FULL)
    wallet.command("auto_reload.set", 2, **setting)
    assert wallet.refused is None


def test_ach_may_reload_and_keeps_a_second_reload_away() -> None:
    """X15: it is in flight for days, and a person may order by card meanwhile (X32)."""
    wallet = Reloading(kind="ach")
    wallet.set()
    wallet.spend(60 * USD)
    assert [each.method for each in wallet.requests] == ["ach"]
    assert wallet.do("order.placed", order_id="o", amount_micros=FULL, method="card") == ""
    wallet.spend(30 * USD)
    assert len(wallet.requests) == 2


def test_an_order_of_a_person_is_in_flight_as_well() -> None:
    """An instant one of the same scope; one by wire, or of another scope, is not."""
    cases: list[tuple[Fields, int]] = [
        ({"method": "card"}, 1),
        ({"method": "wire"}, 1),
        ({"method": "card", "bot_id": "b"}, 2),
    ]
    for data, asked in cases:
        wallet = Reloading()
        wallet.set()
        wallet.do("order.placed", order_id="o", amount_micros=FULL, **data)
        wallet.spend(60 * USD)
        assert len(wallet.requests) == asked, data


def test_a_reload_blocks_an_instant_order_of_a_person() -> None:
    """X32: the message of K28."""
    wallet = Reloading()
    wallet.set()
    wallet.spend(60 * USD)
    assert wallet.do("order.placed", order_id="o", amount_micros=FULL, method="paypal") == "payment_in_progress"


def test_overdraft_belongs_to_the_shared_credit() -> None:
    """Rule 1: the bot's own scope never falls below 0, and the shared one does."""
    wallet = Reloading(bot="b", bought=FULL)
    wallet.set(threshold_micros=0)
    wallet.spend(FULL + CENT_20)
    assert wallet.requests == []
    wallet.scope = {}
    wallet.set(threshold_micros=0)
    assert [each.bot_id for each in wallet.requests] == [None]


def test_the_log_read_again_asks_for_the_same() -> None:
    """The same orders, amounts, times and keys."""

    def asked() -> list[PaymentRequest]:
        wallet = Reloading()
        wallet.set()
        wallet.spend(60 * USD)
        for _ in failing(2, wallet):
            pass
        return wallet.requests

    assert asked() == asked()


def test_a_refund_may_make_it_order() -> None:
    """Any change of the balance is looked at."""
    wallet = Reloading()
    wallet.set()
    wallet.do("order.refunded", order_id="first", refund_id="r", amount_micros=60 * USD)
    assert len(wallet.requests) == 1


def test_a_purchase_of_an_id_that_is_due_is_left_out() -> None:
    """Any client may have used it for credit that cleared elsewhere."""
    wallet, other = Reloading(), Reloading()
    for each in (wallet, other):
        each.set()
    wallet.spend(60 * USD)
    taken = wallet.requests[0].order_id
    other.do("credits.purchased", order_id=taken, amount_micros=20_000_000, method="card")
    other.spend(80 * USD)
    assert len(other.requests) == 1
    assert other.requests[0].order_id != taken


def test_the_first_command_needs_no_clock() -> None:
    """Before the first safe point event time is the input's own."""
    wallet = WalletHarness(STANDARD)
    wallet.command("method.saved", method_id="m", kind="card")
    wallet.command("credits.purchased", order_id="o", amount_micros=FULL, method="card")
    setting = {"enabled": True, "reload_micros": FULL, "threshold_micros": 2 * FULL, "method_id": "m"}
    wallet.command("auto_reload.set", MIN, **setting)
    assert to_ms(wallet.requests[0].requested_at) == T0 + MIN
