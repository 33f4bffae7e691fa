"""Support plans: who may buy which, and the calendar of renewals. Each row names the points that it shows."""

from datetime import UTC, datetime
from typing import Any

import pytest

from meter.core.wallet.commands.support import Due, Subscription, due, purchase_refusal, renewal_ms
from schemas.instants import DAY_MS, to_ms
from schemas.support_plans import SUPPORT_PLANS
from tests.oracle.build import stamp

USD = 1_000_000


def at(text: str) -> int:
    """Milliseconds of a day, or of an instant of it: `2024-01-31`, `2024-01-31T23:59:59.999`."""
    return to_ms(datetime.fromisoformat(text).replace(tzinfo=UTC))


PURCHASES = [
    # points and law, tier, plan of the bot, price, period, code
    ("Q1: basic is not sold", "basic", "standard", 0, "month", "plan_not_allowed"),
    ("Q3 Q4: at the least price", "standard", "standard", 1_000 * USD, "month", None),
    ("Q4: a micro-dollar less", "standard", "standard", 1_000 * USD - 1, "month", "amount_below_minimum"),
    ("Q4: more", "standard", "standard", 1_500 * USD, "month", None),
    ("Q8: a year is twelve months", "standard", "standard", 12_000 * USD, "year", None),
    ("Q8: a year, a micro-dollar less", "standard", "standard", 12_000 * USD - 1, "year", "amount_below_minimum"),
    ("X20: standard support on Enterprise", "standard", "enterprise", 1_000 * USD, "month", None),
    ("Q7 X20: Enterprise Support on Standard", "enterprise", "standard", 9_000 * USD, "month", "plan_not_allowed"),
    ("Q5 X20: Enterprise Support on Enterprise", "enterprise", "enterprise", 9_000 * USD, "year", None),
    ("Q5: its price is agreed on", "enterprise", "enterprise", 0, "month", None),
]


@pytest.mark.parametrize(
    ("points", "tier", "plan", "price", "period", "code"), PURCHASES, ids=[x[0] for x in PURCHASES]
)
def test_who_may_buy_which(points: str, tier: Any, plan: Any, price: int, period: Any, code: str | None) -> None:
    """A refusal names the field and what to do."""
    assert points
    refused = purchase_refusal(tier, plan, price, period)
    assert (refused.code if refused else None) == code
    assert refused is None or (": " in refused.reason and "; " in refused.reason)


def test_tiers_have_the_names_that_mails_use() -> None:
    """X20, Z24: the paid tier is called Enhanced."""
    names = {tier: plan.display_name for tier, plan in SUPPORT_PLANS.items()}
    assert names == {"basic": "Basic Support", "standard": "Enhanced Support", "enterprise": "Enterprise Support"}


def test_tiers_say_what_they_include() -> None:
    """Q2, Q6, Q7."""
    assert SUPPORT_PLANS["basic"].service == "community, academy, documentation"
    assert SUPPORT_PLANS["standard"].service == "e-mail on weekdays 8-17, first answer within 24 h"
    assert "24x7 by e-mail, phone and video" in SUPPORT_PLANS["enterprise"].service


RENEWALS = [
    # points and law, bought, period, renewals 1, 2, 3, ...
    ("Q8 Q9: a month", "2026-04-15", "month", ["2026-05-15", "2026-06-15"]),
    ("Q9: at the same instant", "2026-04-15T13:37:00.001", "month", ["2026-05-15T13:37:00.001"]),
    ("Q9: the 31st", "2026-01-31", "month", ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]),
    ("Q9: the 31st in a leap year", "2024-01-31", "month", ["2024-02-29", "2024-03-31"]),
    ("Q9: the 30th", "2026-01-30", "month", ["2026-02-28", "2026-03-30"]),
    ("Q9: over the end of a year", "2026-11-30", "month", ["2026-12-30", "2027-01-30", "2027-02-28"]),
    ("Q9: December is followed by January", "2026-12-31", "month", ["2027-01-31"]),
    ("Q8: a year", "2026-04-15", "year", ["2027-04-15", "2028-04-15"]),
    ("Q8: from 29 February", "2024-02-29", "year", ["2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]),
    ("Q9: no summer time", "2026-03-28T23:30:00", "month", ["2026-04-28T23:30:00"]),
    ("Q8: 2100 is no leap year", "2096-02-29", "year", ["2097-02-28", "2098-02-28", "2099-02-28", "2100-02-28"]),
]


@pytest.mark.parametrize(("points", "bought", "period", "renewals"), RENEWALS, ids=[row[0] for row in RENEWALS])
def test_a_subscription_renews_by_the_calendar(points: str, bought: str, period: Any, renewals: list[str]) -> None:
    """In UTC, counted from the purchase: a short month does not shorten the next ones."""
    assert points
    numbered = [renewal_ms(at(bought), period, number) for number in range(1, len(renewals) + 1)]
    assert [stamp(each) for each in numbered] == [stamp(at(each)) for each in renewals]
    assert renewal_ms(at(bought), period, 0) == at(bought)


def test_a_renewal_beyond_the_calendar_is_an_error() -> None:
    """The year 9999 is the last."""
    with pytest.raises(OverflowError, match="10000"):
        renewal_ms(at("9999-12-01"), "month", 1)


BOUGHT = Subscription(tier="standard", period="month", price_micros=1_000 * USD, activated_ms=at("2026-01-31"))


def test_the_notice_is_five_days_ahead() -> None:
    """Q10, Z26."""
    assert BOUGHT.next_renewal_ms == at("2026-02-28")
    assert BOUGHT.notice_ms == at("2026-02-23")


@pytest.mark.parametrize(
    ("points", "after", "until", "found"),
    [
        ("Q10: neither", "2026-02-01", "2026-02-22", []),
        ("Q10: the notice, at its instant", "2026-02-22", "2026-02-23", [("2026-02-23", "notice")]),
        ("Q10: once", "2026-02-23", "2026-02-27", []),
        ("Q9: the renewal, at its instant", "2026-02-27", "2026-02-28", [("2026-02-28", "renewal")]),
        ("Q9: once", "2026-02-28", "2026-09-01", []),
        ("both in one step", "2026-02-01", "2026-09-01", [("2026-02-23", "notice"), ("2026-02-28", "renewal")]),
    ],
)
def test_what_falls_due(points: str, after: str, until: str, found: list[tuple[str, Any]]) -> None:
    """In the time between two ticks, the first instant excluded: each act once."""
    assert points
    assert list(due(BOUGHT, at(after), at(until))) == [Due(at(day), kind) for day, kind in found]


def test_a_paid_renewal_moves_the_next_one() -> None:
    """Q9: to the day of the purchase again."""
    renewed = BOUGHT.renewed()
    assert renewed.next_renewal_ms == at("2026-03-31")
    assert list(due(renewed, at("2026-02-28"), at("2026-04-01"))) == [
        Due(at("2026-03-26"), "notice"),
        Due(at("2026-03-31"), "renewal"),
    ]


TIERS = [
    # points and law, subscription, when, tier
    ("Q9: before the purchase", BOUGHT, "2026-01-30T23:59:59.999", "basic"),
    ("Q9: from the purchase on", BOUGHT, "2026-01-31", "standard"),
    ("Q9: to the end of what is paid", BOUGHT, "2026-02-27T23:59:59.999", "standard"),
    ("Q11: a renewal that was not paid", BOUGHT, "2026-02-28", "basic"),
    ("Q11: paid later", BOUGHT.renewed(), "2026-02-28", "standard"),
    ("Q12: cancelled, and paid until then", BOUGHT.cancelled(at("2026-02-02")), "2026-02-27", "standard"),
    ("Q12: effective at the renewal", BOUGHT.cancelled(at("2026-02-02")), "2026-02-28", "basic"),
    ("Q1: after it, basic again", BOUGHT.cancelled(at("2026-02-02")), "2030-01-01", "basic"),
]


@pytest.mark.parametrize(("points", "subscription", "when", "tier"), TIERS, ids=[row[0] for row in TIERS])
def test_the_tier_at_a_time(points: str, subscription: Subscription, when: str, tier: str) -> None:
    """To the millisecond."""
    assert points
    assert subscription.tier_at(at(when)) == tier


def test_a_cancelled_subscription_is_charged_no_more() -> None:
    """Q12: no notice and no renewal; the first cancellation counts."""
    cancelled = BOUGHT.cancelled(at("2026-02-02"))
    assert (cancelled.next_renewal_ms, cancelled.notice_ms) == (None, None)
    assert list(due(cancelled, 0, at("2030-01-01"))) == []
    assert cancelled.cancelled(at("2026-02-09")) == cancelled
    assert cancelled.paid_until_ms == at("2026-02-28")


def test_a_notice_is_never_before_its_purchase() -> None:
    """No month is as short as five days."""
    for day in range(366):
        bought_ms = at("2024-01-01") + day * DAY_MS
        fresh = Subscription(tier="standard", period="month", price_micros=0, activated_ms=bought_ms)
        assert fresh.notice_ms is not None
        assert bought_ms + 23 * DAY_MS <= fresh.notice_ms <= bought_ms + 26 * DAY_MS
