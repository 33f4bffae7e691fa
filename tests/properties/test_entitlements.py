"""What a bot may do, against the oracle's naive second writing, and what more credit does to it."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.oracle.entitlements import Bot, answer
from tests.unit.test_entitlement_rules import as_answer, product

CENT = 10_000
near_zero = st.integers(-30, 30).map(lambda cents: cents * CENT) | st.integers(-3, 3)
not_negative = st.just(0) | near_zero.map(abs)
thresholds = st.none() | not_negative
any_bots = st.builds(
    Bot,
    plan=st.sampled_from(("standard", "enterprise")),
    free=not_negative,
    designated=not_negative,
    shared=near_zero,
    overdraft=not_negative,
    price=st.sampled_from((0, 997, CENT, 7 * CENT)),
    order=st.sampled_from(("free_first", "paid_first")),
    thresholds=st.tuples(thresholds, thresholds),
    reload=not_negative,
    in_flight=st.booleans(),
    last_failed=st.booleans(),
)
bots = any_bots | any_bots.map(lambda bot: replace(bot, free=0, designated=0, overdraft=0, in_flight=True))
"""Any, and such as live on a reload that is in flight."""


@given(bots)
def test_a_bot_may_do_what_the_oracle_says(bot: Bot) -> None:
    """Status, reason, units and attribution, for any balances, plan, order, thresholds and reload."""
    assert as_answer(product(bot)) == answer(bot)


@given(bots, st.sampled_from(("free", "designated", "shared", "overdraft")), not_negative)
def test_more_credit_never_suspends_and_never_takes_units(bot: Bot, pocket: str, more: int) -> None:
    """In any pocket."""
    before, after = product(bot), product(replace(bot, **{pocket: getattr(bot, pocket) + more}))
    assert after.active >= before.active
    assert (after.allowed_units or 0) >= (before.allowed_units or 0)
    if pocket != "overdraft":
        assert before.attribution >= after.attribution


@given(bots)
def test_an_inactive_bot_has_no_units_and_an_active_one_has_a_status(bot: Bot) -> None:
    """`Inactive` and `active` never contradict each other."""
    found = product(bot)
    assert found.active == (found.status != "Inactive") == (found.reason != "no_credit")
    assert found.active or not found.allowed_units
