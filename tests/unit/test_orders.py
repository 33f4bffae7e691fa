"""Orders, cases worked out by hand: what is refused and why, and what each answer makes of an order."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from meter.core.rejection import Rejected
from meter.core.wallet.wallets import Wallets
from schemas.metered import decode_wallet_input
from schemas.payments import FIRST_ATTEMPT
from tests.oracle.build import DAY, STANDARD, T0, command
from tests.unit.wallet_harness import WalletHarness, moved

USD = 1_000_000
FULL = 100 * USD
Act = tuple[str, dict[str, Any]]


def placed(order: str = "o", amount: int = FULL, method: str = "card", **more: Any) -> Act:
    return "order.placed", {"order_id": order, "amount_micros": amount, "method": method, **more}


def settled(order: str = "o", amount: int = FULL, payment: str = "p", **more: Any) -> Act:
    return "payment.settled", {"order_id": order, "payment_id": payment, "amount_micros": amount, **more}


def failed(order: str = "o", reason: str = "declined", payment: str = "p", **more: Any) -> Act:
    return "payment.failed", {"order_id": order, "payment_id": payment, "reason": reason, **more}


def acted(order: str = "o", payment: str = "p") -> Act:
    return "payment.action_required", {"order_id": order, "payment_id": payment}


def cancelled(order: str = "o") -> Act:
    return "order.cancelled", {"order_id": order}


def refunded(amount: int, order: str = "o", refund: str = "r") -> Act:
    return "order.refunded", {"order_id": order, "refund_id": refund, "amount_micros": amount}


def saved(method: str = "m", kind: str = "card", **more: Any) -> Act:
    return "method.saved", {"method_id": method, "kind": kind, **more}


def bought(order: str = "o", amount: int = FULL, **more: Any) -> Act:
    return "credits.purchased", {"order_id": order, "amount_micros": amount, "method": "card", **more}


def told(*acts: Act) -> WalletHarness:
    """A Standard wallet that was told all of it, a second between any two."""
    wallet = WalletHarness(STANDARD)
    for number, (kind, data) in enumerate(acts):
        wallet.command(kind, number * 1_000, id=f"{number}", **data)
    return wallet


def status(wallet: WalletHarness, order: str = "o") -> str:
    return wallet.wallets.books["w"].wallet.purchases.orders[order].status


@dataclass(frozen=True)
class Case:
    """What the last act is refused for, "" if it is not; how the order stands then, and what is paid credit then."""

    points: str
    law: str
    acts: list[Act]
    code: str = ""
    status: str = "pending"
    paid: int = 0
    words: str = field(default="")


BOT: dict[str, Any] = {"bot_id": "b"}
CASES = [
    Case("F1 D2", "$100 is enough", [placed()]),
    Case("D2 F10", "a cent less is not", [placed(amount=FULL - 10_000)], "amount_below_minimum", "", 0, "$99.99"),
    Case("F11", "$20,000 may be ordered at once", [placed(amount=20_000 * USD)]),
    Case("F11", "a cent more may not", [placed(amount=20_000 * USD + 10_000)], "amount_above_maximum", "", 0, "20,000"),
    Case("X10", "any whole cents", [placed(amount=FULL + 10_000)]),
    Case("X10", "no part of a cent", [placed(amount=FULL + 1)], "invalid", "", 0, "whole cents"),
    Case(
        "K28 X32", "one instant order of a scope at a time", [placed("1"), placed()], "payment_in_progress", "", 0, "1"
    ),
    Case("X32", "of either instant method", [placed("1", method="paypal"), placed()], "payment_in_progress", ""),
    Case("X32 H3", "also while the payer has to act", [placed("1"), acted("1"), placed()], "payment_in_progress", ""),
    Case("X32", "another scope is another matter", [placed("1"), placed(**BOT)]),
    Case("I6 X32", "a wire transfer blocks nothing", [placed("1", method="wire"), placed()]),
    Case("X15 X32", "nor does ACH", [placed("1", method="ach"), placed()]),
    Case("X32", "and nothing blocks them", [placed("1"), placed(method="wire")]),
    Case("X32", "after a failure the next one may come", [placed("1"), failed("1"), placed()]),
    Case("X32", "after a cancellation too", [placed("1"), cancelled("1"), placed()]),
    Case("X32", "and after it is paid", [placed("1"), settled("1"), placed()], "", "pending", FULL),
    Case("", "ids of auto-reloads are theirs", [placed("auto-1")], "invalid", ""),
    Case("H6", "a saved method", [saved(), placed(method_id="m")]),
    Case("H6", "of another kind", [saved(kind="ach"), placed(method_id="m")], "invalid", "", 0, "saved as ach"),
    Case("", "a purchase has the id already", [bought(), placed()], "conflict", "", FULL),
    Case("", "a purchase of a placed order is no purchase", [placed(), bought()], "conflict", "pending", 0, "settled"),
    Case("D1 F8", "settled: credited", [placed(), settled()], "", "settled", FULL),
    Case("I4 I5", "a wire transfer is credited when it clears", [placed(method="wire")]),
    Case("I5 X15", "then", [placed(method="wire"), settled()], "", "settled", FULL),
    Case("H3", "the payer has to act", [placed(), acted()], "", "action_required"),
    Case("H3", "and has acted", [placed(), acted(), settled()], "", "settled", FULL),
    Case("", "the same payment twice", [placed(), settled(), settled()], "", "settled", FULL),
    Case("", "two payments of one order", [placed(), settled(), settled(payment="q")], "conflict", "settled", FULL),
    Case("", "another amount", [placed(), settled(amount=99 * USD)], "conflict", "pending", 0, "$100.00"),
    Case("", "an order that there is not", [settled()], "unknown_order", ""),
    Case("", "a failure of none", [failed()], "unknown_order", ""),
    Case("", "an act for none", [acted()], "unknown_order", ""),
    Case("", "a failure", [placed(), failed()], "", "failed"),
    Case("", "the failure twice", [placed(), failed(), failed()], "", "failed"),
    Case("", "late: settled after all", [placed(), failed(), settled()], "", "settled", FULL),
    Case("", "late: failed before it settled", [placed(), settled(), failed()], "", "settled", FULL),
    Case("", "late: waiting, but it is settled", [placed(), settled(), acted()], "", "settled", FULL),
    Case("", "late: waiting, but it has failed", [placed(), failed(), acted()], "", "failed"),
    Case("", "cancelled", [placed(), cancelled()], "", "cancelled"),
    Case("", "cancelled twice", [placed(), cancelled(), cancelled()], "", "cancelled"),
    Case("", "failed after it was cancelled", [placed(), cancelled(), failed()], "", "cancelled"),
    Case(
        "X15 X32",
        "money after a cancellation is credited",
        [placed(), cancelled(), settled()],
        "",
        "settled",
        FULL,
    ),
    Case("", "cancelled although settled", [placed(), settled(), cancelled()], "already_settled", "settled", FULL),
    Case("", "cancelled although bought", [bought(), cancelled()], "already_settled", "", FULL),
    Case("", "cancelled, never placed", [cancelled()], "unknown_order", ""),
    Case("", "refunded in part", [placed(), settled(), refunded(USD)], "", "refunded", 99 * USD),
    Case("", "refunded whole", [placed(), settled(), refunded(FULL)], "", "refunded", 0),
    Case("", "more than it was", [placed(), settled(), refunded(FULL + 1)], "more_than_left", "settled", FULL),
    Case("", "one refund twice", [placed(), settled(), refunded(USD), refunded(USD)], "", "refunded", 99 * USD),
    Case("", "two refunds", [placed(), settled(), refunded(USD), refunded(USD, refund="s")], "", "refunded", 98 * USD),
    Case(
        "",
        "one refund, two amounts",
        [placed(), settled(), refunded(USD), refunded(2)],
        "conflict",
        "refunded",
        99 * USD,
    ),
    Case("", "refunded, not paid", [placed(), refunded(USD)], "more_than_left", "pending"),
    Case("", "refunded, never placed", [refunded(USD)], "unknown_order", ""),
    Case("", "a purchase can be refunded", [bought(), refunded(USD)], "", "", 99 * USD),
    Case("", "paid again after a refund", [placed(), settled(), refunded(USD), settled()], "", "refunded", 99 * USD),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.points} {case.law}")
def test_an_order_stands_as_its_answers_say(case: Case) -> None:
    """And a refusal says why, with the field in it, and changes nothing."""
    wallet = told(*case.acts)
    assert ("" if wallet.refused is None else wallet.refused.code) == case.code
    assert case.words in ("" if wallet.refused is None else wallet.refused.reason)
    assert wallet.refused is None or wallet.refused.reason.startswith("data.")
    assert wallet.balance.paid_micros == case.paid
    orders = wallet.wallets.books["w"].wallet.purchases.orders
    assert (orders["o"].status if "o" in orders else "") == case.status


def test_a_settled_order_is_a_purchase() -> None:
    """The same lot, the same entry and the same balance as a purchase that has cleared elsewhere (D1, I5)."""
    scopes: list[dict[str, Any]] = [{}, BOT]
    for bot in scopes:
        ordered, purchased = WalletHarness(STANDARD), WalletHarness(STANDARD)
        ordered.command("order.placed", 0, **placed(**bot)[1])
        ordered.command("payment.settled", 7, **settled()[1])
        purchased.command("credits.purchased", 7, **bought(**bot)[1])
        assert ordered.entries == purchased.entries
        assert moved(ordered.entries) == [("purchase", "order:o", FULL)]
        lots = [each.wallets.books["w"].wallet.lots for each in (ordered, purchased)]
        assert lots[0] == lots[1]


def test_a_refund_takes_from_its_own_lot_alone() -> None:
    """What conversations have spent of it is not left; other lots pay nothing (D6)."""
    wallet = told(placed(), settled(), bought("other"))
    wallet.conversation(0)
    assert wallet.command("order.refunded", 9_000, **refunded(FULL)[1]) == []
    assert wallet.refused is not None
    assert wallet.refused.code == "more_than_left"
    entries = wallet.command("order.refunded", 9_000, **refunded(FULL - 200_000)[1])
    assert moved(entries) == [("refund", "order:o", 200_000 - FULL)]


def test_only_instant_orders_ask_for_a_payment() -> None:
    """Once, and with ids that follow from the order (H4, H5, I1)."""
    acts = [placed("1", method="wire"), placed("2", method="ach"), placed("3", method_id="m", **BOT), placed("4")]
    wallet = told(*acts)
    assert [(each.order_id, each.bot_id, each.method_id) for each in wallet.requests] == [
        ("3", "b", "m"),
        ("4", None, ""),
    ]
    assert [each.attempt for each in wallet.requests] == [FIRST_ATTEMPT] * 2
    assert len({each.idempotency_key for each in wallet.requests}) == 2
    assert told(*acts).requests == wallet.requests


def test_a_repeat_asks_for_no_second_payment() -> None:
    """Neither the command again, nor another command with the same order; other terms are refused."""
    wallet = WalletHarness(STANDARD)
    for command_id in ("1", "1", "2"):
        wallet.command("order.placed", 0, id=command_id, **placed()[1])
        assert wallet.refused is None
    assert len(wallet.requests) == 1
    wallet.command("order.placed", 0, id="3", **placed(amount=200 * USD)[1])
    assert wallet.refused is not None
    assert (wallet.refused.code, len(wallet.requests)) == ("conflict", 1)


@pytest.mark.parametrize("act", [placed(), settled(), failed(), cancelled(), saved()], ids=lambda act: act[0])
def test_money_does_not_come_from_the_future(act: Act) -> None:
    """DOMAIN, Debit order 4a: at most 5 minutes ahead of its arrival."""
    kind, data = act
    for ahead_ms, code in ((300_000, None), (300_001, "future")):
        wallets = Wallets(WalletHarness().wallets.in_force)
        wallets.step(decode_wallet_input(command("order.placed", -DAY, **placed()[1])), 0, T0)
        outcome = wallets.step(decode_wallet_input(command(kind, ahead_ms, id="x", **data)), 1, T0)
        if code is None:
            assert not isinstance(outcome, Rejected) or outcome.code == "conflict"
        else:
            assert isinstance(outcome, Rejected)
            assert outcome.code == code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (saved(label="Visa ··4242", expires="2027-03"), ""),
        (saved(kind="wire"), "form"),
        (saved(expires="2027-13"), "form"),
        (saved(label="x" * 129), "form"),
        (saved(label="4242 4242 4242 4242"), "card_number"),
        (saved("4242-4242-4242-4242"), "card_number"),
    ],
    ids=str,
)
def test_a_method_is_a_name_and_never_a_number(data: Act, code: str) -> None:
    """H2: card numbers are typed into the gateway's form and stay there."""
    wallet = WalletHarness(STANDARD)
    try:
        wallet.command(data[0], 0, **data[1])
    except ValueError:
        assert code == "form"
        return
    assert (wallet.refused.code if wallet.refused else "") == code
    assert wallet.refused is None or "4242" not in wallet.refused.reason
    assert bool(wallet.wallets.books["w"].wallet.purchases.methods) == (code == "")


def test_a_method_is_removed_once() -> None:
    """Then it is not known, and may be saved again (H6)."""
    wallet = told(saved(), ("method.removed", {"method_id": "m"}), ("method.removed", {"method_id": "m"}))
    assert wallet.refused is not None
    assert wallet.refused.code == "unknown_method"
    assert wallet.command("method.saved", 9_000, **saved()[1]) == []
    assert wallet.refused is None
