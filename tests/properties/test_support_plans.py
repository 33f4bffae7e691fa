"""Renewals of support plans, against a calendar that is walked day by day."""

from datetime import date, timedelta
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from meter.core.wallet.commands.support import Due, Subscription, due, renewal_ms

DAY = 86_400_000
EPOCH = date(1970, 1, 1)
FIRST, LAST = date(1999, 1, 1), date(2101, 12, 31)
ENDS = [day for day in (FIRST + timedelta(days=each) for each in range((LAST - FIRST).days)) if day.day >= 29]
days = st.dates(FIRST, LAST) | st.sampled_from(ENDS)
clock_steps = st.lists(st.integers(1, 9).map(lambda count: count * DAY), min_size=9, max_size=30) | st.lists(
    st.integers(1, 40 * DAY), max_size=30
)
"""Whole days, so that a step often ends at the very instant of a notice; or any milliseconds."""
periods = st.sampled_from(("month", "year"))


def walked(bought: date, months: int) -> date:
    """Go on a day at a time until the month is the right one and its next day would be another month or a later day."""
    day = bought
    wanted = bought.year * 12 + bought.month - 1 + months
    while day.year * 12 + day.month - 1 < wanted:
        day += timedelta(days=1)
    while day.day < bought.day and (day + timedelta(days=1)).month == day.month:
        day += timedelta(days=1)
    return day


@given(days, st.integers(0, DAY - 1), periods, st.integers(1, 30))
def test_renewals_are_those_of_a_walked_calendar(bought: date, since_midnight: int, period: Any, number: int) -> None:
    """On any day and at any millisecond of it."""
    renewal = walked(bought, number * (12 if period == "year" else 1))
    bought_ms = (bought - EPOCH).days * DAY + since_midnight
    assert renewal_ms(bought_ms, period, number) == (renewal - EPOCH).days * DAY + since_midnight


@given(days, periods, clock_steps)
def test_each_notice_and_each_renewal_falls_due_once(bought: date, period: Any, steps: list[int]) -> None:
    """In any steps of the clock, while each renewal is paid at once: five days apart, and none is left out."""
    bought_ms = (bought - EPOCH).days * DAY
    subscription = Subscription(tier="standard", period=period, price_micros=0, activated_ms=bought_ms)
    now, found = bought_ms, list[Due]()
    for step in steps:
        until = now + step
        while acts := list(due(subscription, now, until)):
            found += acts
            now = acts[-1].at_ms
            if acts[-1].kind == "renewal":
                subscription = subscription.renewed()
        now = until
    renewals = [each.at_ms for each in found if each.kind == "renewal"]
    assert renewals == [renewal_ms(bought_ms, period, number) for number in range(1, subscription.paid_periods)]
    notices = [each.at_ms for each in found if each.kind == "notice"]
    assert notices[: len(renewals)] == [each - 5 * DAY for each in renewals]
    assert msgspec.structs.replace(subscription, paid_periods=1).tier_at(bought_ms) == "standard"
