"""Debit order, cases worked out by hand from DOMAIN: which lot pays how much of which unit, and how it is undone."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from meter.core.policy import Policy
from schemas.ledger import BalanceFact
from tests.oracle.build import CENT_20, DAY, ENTERPRISE, HOUR, MIN, STANDARD, T0, command, stamp
from tests.unit.wallet_harness import GAP, Part, WalletHarness, charged, moved

CENT = 10_000


def grant(name: str, amount: int, *, begins: int = -DAY, ends: int = 30 * DAY) -> bytes:
    return command("grant.assigned", begins, grant_id=name, amount_micros=amount, expires_at=stamp(T0 + ends))


def order(name: str, amount: int, *, bot: str | None = None, at: int = -DAY) -> bytes:
    about = {} if bot is None else {"bot_id": bot}
    return command("credits.purchased", at, order_id=name, amount_micros=amount, method="card", **about)


@dataclass(frozen=True)
class Case:
    """One unit of $0.20 of bot `b` at `at`, and who pays it."""

    law: str
    lots: list[bytes]
    pays: list[Part]
    at: int = 0
    policy: Policy = field(default_factory=Policy)


CASES = [
    Case("nothing to pay with: overdrawn", [], [("overdraft", CENT_20)]),
    Case(
        "free, soonest expiry first",
        [grant("a", CENT_20, ends=3 * DAY), grant("b", CENT_20, ends=2 * DAY)],
        [("grant:b", CENT_20)],
    ),
    Case(
        "soonest expiry goes before age",
        [grant("old", CENT_20, begins=-9 * DAY, ends=3 * DAY), grant("young", CENT_20, ends=2 * DAY)],
        [("grant:young", CENT_20)],
    ),
    Case(
        "of one expiry, oldest assigned first",
        [grant("a", CENT_20, begins=-2 * DAY), grant("b", CENT_20, begins=-3 * DAY)],
        [("grant:b", CENT_20)],
    ),
    Case("of one expiry and age, by id", [grant("b", CENT_20), grant("a", CENT_20)], [("grant:a", CENT_20)]),
    Case(
        "free before paid, whenever it ends",
        [order("own", CENT_20, bot="b"), order("all", CENT_20), grant("g", CENT_20)],
        [("grant:g", CENT_20)],
    ),
    Case(
        "designated before shared",
        [order("all", CENT_20, at=-9 * DAY), order("own", CENT_20, bot="b")],
        [("order:own", CENT_20)],
    ),
    Case("shared, oldest first", [order("a", CENT_20), order("b", CENT_20, at=-2 * DAY)], [("order:b", CENT_20)]),
    Case("another bot's designated never", [order("other", CENT_20, bot="c")], [("overdraft", CENT_20)]),
    Case(
        "split over three lots",
        [order("all", 9 * CENT_20), order("own", 7 * CENT, bot="b"), grant("g", 5 * CENT)],
        [("grant:g", 5 * CENT), ("order:own", 7 * CENT), ("order:all", 8 * CENT)],
    ),
    Case(
        "split down to the micro-dollar, the rest overdrawn",
        [grant("g", 1), order("own", 2, bot="b"), order("all", 3)],
        [("grant:g", 1), ("order:own", 2), ("order:all", 3), ("overdraft", CENT_20 - 6)],
    ),
    Case("at assigned_at it pays", [grant("g", CENT_20, begins=0)], [("grant:g", CENT_20)]),
    Case("one ms before assigned_at it does not", [grant("g", CENT_20, begins=0)], [("overdraft", CENT_20)], at=-1),
    Case("one ms before expires_at it pays", [grant("g", CENT_20, ends=HOUR)], [("grant:g", CENT_20)], at=HOUR - 1),
    Case("at expires_at it does not", [grant("g", CENT_20, ends=HOUR)], [("overdraft", CENT_20)], at=HOUR),
    Case(
        "90 x 24 h less a ms",
        [command("grant.assigned", 0, grant_id="g", amount_micros=CENT_20)],
        [("grant:g", CENT_20)],
        at=90 * 24 * HOUR - 1,
    ),
    Case(
        "90 x 24 h to the ms",
        [command("grant.assigned", 0, grant_id="g", amount_micros=CENT_20)],
        [("overdraft", CENT_20)],
        at=90 * 24 * HOUR,
    ),
    Case("paid credit has no term", [order("all", CENT_20, at=DAY)], [("order:all", CENT_20)]),
    Case(
        "paid_first: designated, shared, then free",
        [grant("g", CENT_20), order("all", 5 * CENT), order("own", 4 * CENT, bot="b")],
        [("order:own", 4 * CENT), ("order:all", 5 * CENT), ("grant:g", 11 * CENT)],
        policy=Policy(debit_order="paid_first"),
    ),
    Case(
        "paid_first: free still by soonest expiry",
        [grant("a", CENT_20, ends=3 * DAY), grant("b", CENT_20, ends=2 * DAY)],
        [("grant:b", CENT_20)],
        policy=Policy(debit_order="paid_first"),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.law)
def test_lots_pay_for_a_unit_in_debit_order(case: Case) -> None:
    """DOMAIN, Debit order 1, 2, 4 and 5."""
    wallet = WalletHarness(STANDARD, *case.lots, policy=case.policy)
    assert charged(wallet.conversation(case.at)) == case.pays
    assert sum(amount for _, amount in case.pays) == CENT_20


def test_500_dollars_are_exactly_2500_conversations_and_the_next_overdraws() -> None:
    """DOMAIN, Prices: not a micro-dollar is left or missing."""
    wallet = WalletHarness(command("workspace.created", plan="standard"))
    for number in range(2_500):
        assert charged(wallet.conversation(number, id=f"c-{number}")) == [("initial", CENT_20)]
    assert wallet.balance == BalanceFact(free_micros=0, paid_micros=0, lapsed_micros=0)
    assert charged(wallet.conversation(2_500, id="one more")) == [("overdraft", CENT_20)]
    assert wallet.balance == BalanceFact(free_micros=0, paid_micros=-CENT_20, lapsed_micros=0)


def test_paid_goes_below_zero_and_is_made_up_by_a_purchase() -> None:
    """Debit order 4: a unit is metered even if nothing covers it; what is bought then is what is left less the debt."""
    wallet = WalletHarness(STANDARD)
    wallet.conversation(0)
    assert wallet.balance.paid_micros == -CENT_20
    wallet.command("credits.purchased", HOUR, order_id="o", amount_micros=5 * CENT_20, method="card")
    assert wallet.balance.paid_micros == 4 * CENT_20
    assert charged(wallet.conversation(HOUR, id="d")) == [("order:o", CENT_20)]


def test_what_a_unit_paid_does_not_depend_on_later_credit() -> None:
    """Debit order 6: entries are immutable; a grant that comes later does not pay for what was paid."""
    wallet = WalletHarness(STANDARD)
    wallet.conversation(0)
    assert moved(wallet.tell(_given(grant("g", CENT_20)))) == [("grant", "grant:g", CENT_20)]
    assert moved(wallet.conversation(0, 5 * MIN, requests=2)) == []


def test_a_lapse_shows_at_a_safe_point_and_not_before_the_end() -> None:
    """Debit order 5: expiry takes what is left of its own lot, and records how much."""
    wallet = WalletHarness(STANDARD, grant("g", 3 * CENT_20, ends=HOUR), grant("other", CENT_20, ends=2 * HOUR))
    wallet.conversation(0)
    assert wallet.passes(HOUR - 1) == []
    (lapse,) = wallet.passes(HOUR)
    assert (lapse.kind, lapse.lot_id, lapse.amount_micros) == ("lapse", "grant:g", -2 * CENT_20)
    assert lapse.occurred_ms == T0 + HOUR
    assert wallet.balance == BalanceFact(free_micros=CENT_20, paid_micros=0, lapsed_micros=2 * CENT_20)
    assert wallet.passes(HOUR + 1) == []


def test_a_late_unit_from_within_the_term_takes_back_what_lapsed() -> None:
    """Debit order 5: the unit's event time decides, not when it came to light."""
    wallet = WalletHarness(STANDARD, grant("g", 3 * CENT_20, ends=HOUR))
    (lapse,) = wallet.passes(HOUR)
    back, charge = wallet.conversation(HOUR - 1)
    assert (back.kind, back.amount_micros, back.reverses) == ("lapse_reversal", CENT_20, lapse.entry_id)
    assert moved([charge]) == [("charge", "grant:g", -CENT_20)]
    assert wallet.balance == BalanceFact(free_micros=0, paid_micros=0, lapsed_micros=2 * CENT_20)
    assert charged(wallet.conversation(HOUR, id="d")) == [("overdraft", CENT_20)]


def test_a_grant_that_comes_to_light_after_its_end_lapses_at_once() -> None:
    """And pays all the same for a late unit from within its term."""
    wallet = WalletHarness(STANDARD)
    wallet.passes(HOUR)
    assert moved(wallet.tell(_given(grant("g", CENT_20, ends=HOUR)))) == [
        ("grant", "grant:g", CENT_20),
        ("lapse", "grant:g", -CENT_20),
    ]
    assert charged(wallet.conversation(0)) == [("grant:g", CENT_20)]
    assert wallet.balance == BalanceFact(free_micros=0, paid_micros=0, lapsed_micros=0)


def test_a_bridge_credits_the_very_lots_that_paid() -> None:
    """Metering 5: each part goes back to its own lot, and not to the one that is first in line now."""
    wallet = WalletHarness(
        STANDARD, grant("g", CENT_20 + 5 * CENT), order("own", 7 * CENT, bot="b"), order("all", CENT_20)
    )
    wallet.conversation(0, id="kept")
    surplus = wallet.conversation(2 * GAP, id="surplus")
    assert charged(surplus) == [("grant:g", 5 * CENT), ("order:own", 7 * CENT), ("order:all", 8 * CENT)]
    back = wallet.absorbed(2 * GAP, id="surplus", into="kept")
    assert moved(back) == [
        ("reversal", "grant:g", 5 * CENT),
        ("reversal", "order:own", 7 * CENT),
        ("reversal", "order:all", 8 * CENT),
    ]
    assert [entry.reverses for entry in back] == [entry.entry_id for entry in surplus]
    assert (wallet.facts["surplus"].absorbed_into, wallet.facts["surplus"].charged_paid_micros) == ("kept", 0)
    assert wallet.conversation(0, 2 * GAP, id="kept", requests=3) == []


def test_a_bridge_pays_the_overdraft_back() -> None:
    """Paid credit rises to where it was."""
    wallet = WalletHarness(STANDARD)
    wallet.conversation(0, id="kept")
    wallet.conversation(2 * GAP, id="surplus")
    assert wallet.balance.paid_micros == -2 * CENT_20
    wallet.absorbed(2 * GAP, id="surplus", into="kept")
    assert wallet.balance.paid_micros == -CENT_20


def test_what_goes_back_to_a_lapsed_lot_lapses_too() -> None:
    """Debit order 5: credit whose term has ended stays lost; both movements are recorded."""
    wallet = WalletHarness(STANDARD, grant("g", 3 * CENT_20, ends=HOUR))
    wallet.conversation(0, id="kept")
    wallet.conversation(2 * GAP, id="surplus")
    wallet.passes(HOUR)
    assert moved(wallet.absorbed(2 * GAP, id="surplus", into="kept")) == [
        ("reversal", "grant:g", CENT_20),
        ("lapse", "grant:g", -CENT_20),
    ]
    assert wallet.balance == BalanceFact(free_micros=0, paid_micros=0, lapsed_micros=2 * CENT_20)


def test_an_enterprise_block_is_paid_by_what_is_good_at_its_own_start() -> None:
    """Debit order 5: the grant ends at the second block's start, and pays the first alone."""
    wallet = WalletHarness(ENTERPRISE, grant("g", 10**6, ends=15 * MIN))
    entries = wallet.conversation(0, 20 * MIN, requests=2)
    assert charged(entries) == [("grant:g", 100_000), ("overdraft", 100_000)]
    assert [entry.occurred_ms - T0 for entry in entries] == [0, 15 * MIN]


def test_repeated_commands_credit_once() -> None:
    """The same command again, and the same order or grant under another command's id."""
    buy: dict[str, Any] = {"order_id": "o", "amount_micros": 5, "method": "card"}
    wallet = WalletHarness(STANDARD)
    first = wallet.command("credits.purchased", 0, id="1", **buy)
    assert moved(first) == [("purchase", "order:o", 5)]
    for each in ("1", "2"):
        assert wallet.command("credits.purchased", 0, id=each, **buy) == []
        assert wallet.refused is None


def test_another_command_under_a_known_id_is_refused_by_name() -> None:
    """Metering 6: a reason that names the field, and no wallet changed."""
    wallet = WalletHarness(STANDARD)
    wallet.command("credits.purchased", 0, id="1", order_id="o", amount_micros=5, method="card")
    assert wallet.command("credits.purchased", 0, id="1", order_id="p", amount_micros=5, method="card") == []
    assert wallet.refused is not None
    assert (wallet.refused.code, wallet.refused.reason.split(":")[0]) == ("conflict", "id")


@pytest.mark.parametrize(
    ("kind", "data", "field"),
    [
        ("workspace.created", {"plan": "enterprise"}, "data.session_price_micros"),
        ("plan.changed", {"plan": "enterprise"}, "data.session_price_micros"),
        ("bot.created", {"bot_id": "b", "plan": "enterprise"}, "data.session_price_micros"),
        ("grant.assigned", {"grant_id": "g", "amount_micros": 1, "expires_at": stamp(T0)}, "data.expires_at"),
    ],
)
def test_a_command_that_cannot_take_effect_names_its_field(kind: str, data: dict[str, Any], field: str) -> None:
    """Metering 6."""
    wallet = WalletHarness()
    assert wallet.command(kind, 0, **data) == []
    assert wallet.refused is not None
    assert wallet.refused.reason.split(":")[0] == field


def _given(line: bytes) -> Any:
    from schemas.metered import decode_wallet_input

    return decode_wallet_input(line)
