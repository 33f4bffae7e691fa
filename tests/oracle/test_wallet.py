"""Money, worked out by hand from DOMAIN: these cases judge the oracle before it judges the product."""

import pytest

from tests.oracle.build import CENT_20, DAY, ENTERPRISE, HOUR, MIN, STANDARD, T0, chat, command, run, stamp
from tests.oracle.oracle import meter


@pytest.mark.parametrize(("conversations", "paid"), [(2500, 0), (2501, -CENT_20)])
def test_500_dollars_are_exactly_2500_conversations(conversations: int, paid: int) -> None:
    """DOMAIN, Prices."""
    created = command("workspace.created", plan="standard")
    balance = run(created, *[chat(n, user=f"u{n}") for n in range(conversations)]).balances["w"]
    assert (balance.free, balance.paid, balance.charged_free) == (0, paid, 500_000_000)


def test_one_unit_may_be_split_over_free_designated_shared_and_overdraft() -> None:
    """DOMAIN, Debit order 1, 2 and 4."""
    result = run(
        STANDARD,
        command("grant.assigned", grant_id="late", amount_micros=10_000, expires_at=stamp(T0 + 9 * DAY)),
        command("grant.assigned", grant_id="soon", amount_micros=20_000, expires_at=stamp(T0 + DAY)),
        command("credits.purchased", order_id="all", amount_micros=50_000, method="card"),
        command("credits.purchased", order_id="own", amount_micros=70_000, method="card", bot_id="b"),
        command("credits.purchased", order_id="not mine", amount_micros=90_000, method="card", bot_id="c"),
        chat(0),
    )
    parts = [(charge.lot, charge.lot_kind, charge.amount) for charge in result.charges]
    assert parts == [
        ("soon", "free", 20_000),
        ("late", "free", 10_000),
        ("own", "designated", 70_000),
        ("all", "shared", 50_000),
        ("", "overdraft", 50_000),
    ]
    assert result.balances["w"].paid == 90_000 - 50_000


def test_grants_that_expire_together_are_taken_oldest_first_then_by_id() -> None:
    """DOMAIN, Debit order 1."""
    end = stamp(T0 + DAY)
    grants = [("b", -2 * DAY), ("a", -2 * DAY), ("z", -3 * DAY)]
    lots = [command("grant.assigned", at, grant_id=g, amount_micros=60_000, expires_at=end) for g, at in grants]
    assert [charge.lot for charge in run(STANDARD, *lots, chat(0)).charges] == ["z", "a", "b", ""]


@pytest.mark.parametrize(("at", "pays"), [(-1, False), (0, True), (90 * DAY - 1, True), (90 * DAY, False)])
def test_a_grant_pays_from_its_assignment_until_and_not_at_90_days(at: int, pays: bool) -> None:
    """DOMAIN, Debit order 5: 90 x 24 h, to the millisecond."""
    result = run(STANDARD, command("grant.assigned", 0, grant_id="g", amount_micros=900_000), chat(at))
    assert (result.totals.charged_free > 0) is pays


def test_what_a_grant_did_not_pay_lapses_when_it_expires() -> None:
    """DOMAIN, Debit order 5: only what is left of its own lot, and the feed's end decides."""
    created = command("workspace.created", 0, plan="standard", free_grant_micros=900_000)
    before = run(created, chat(0), chat(90 * DAY - 1, "agent")).balances["w"]
    at_expiry = run(created, chat(0), chat(90 * DAY, "agent")).balances["w"]
    assert (before.free, before.lapsed) == (700_000, 0)
    assert (at_expiry.free, at_expiry.lapsed, at_expiry.charged_free) == (0, 700_000, 200_000)


def test_each_enterprise_block_is_paid_by_what_is_spendable_at_its_own_start() -> None:
    """DOMAIN, Debit order 5: a grant that expires at the second block's start pays the first alone."""
    grant = command("grant.assigned", grant_id="g", amount_micros=10**9, expires_at=stamp(T0 + 15 * MIN))
    result = run(ENTERPRISE, grant, chat(0), chat(10 * MIN), chat(20 * MIN))
    assert [(charge.at - T0, charge.lot_kind) for charge in result.charges] == [(0, "free"), (15 * MIN, "overdraft")]


def test_the_plan_at_the_first_message_bills_the_whole_conversation() -> None:
    """DOMAIN, Prices: the command's own time counts, to the millisecond."""
    change = command("plan.changed", 10 * MIN, plan="enterprise", session_price_micros=70_000)
    before = [chat(10 * MIN - 1), chat(20 * MIN), chat(30 * MIN)]
    assert run(STANDARD, change, *before).totals.charged_paid == CENT_20
    assert run(STANDARD, change, chat(10 * MIN), chat(20 * MIN), chat(30 * MIN)).totals.charged_paid == 140_000


def test_a_bots_own_plan_overrides_the_workspaces_from_its_own_time() -> None:
    """DOMAIN, Words: a bot may have its own plan. Without a price of its own it takes the workspace's."""
    bot = command("bot.created", 10 * MIN, bot_id="b", plan="standard")
    result = run(ENTERPRISE, bot, chat(0), chat(HOUR), chat(HOUR, bot="c"))
    assert [charge.amount for charge in result.charges] == [100_000, CENT_20, 100_000]
    own = command("bot.created", bot_id="b", plan="enterprise")
    priced = command("workspace.created", plan="standard", free_grant_micros=0, session_price_micros=42)
    assert run(priced, own, chat(0)).totals.charged_paid == 42


def test_before_the_first_known_plan_the_first_plan_holds() -> None:
    """A conversation older than its workspace's creation is billed by the plan it was created with."""
    late = command("workspace.created", HOUR, plan="enterprise", session_price_micros=30)
    result = run(late, chat(0), policy="hold")
    assert (result.totals.charged_paid, result.totals.charged_free) == (30, 0)


def test_an_enterprise_plan_without_any_price_is_a_dead_letter() -> None:
    """Metering 6: the reason names the field; the workspace goes on without that plan."""
    bot = command("bot.created", bot_id="b", plan="enterprise")
    result = run(STANDARD, bot, command("workspace.created", ws="x", plan="enterprise"), chat(0))
    expected = [(1, "invalid", "session_price_micros"), (2, "invalid", "session_price_micros")]
    assert [(letter.line, letter.code, letter.field) for letter in result.dead_letters] == expected
    assert list(result.balances) == ["w"]
    assert result.totals.charged_paid == CENT_20


def test_an_unknown_workspace_is_provisioned_or_held() -> None:
    """Provisioned: Standard with $500 from its first unit on. Held: metered, not charged."""
    feed = [chat(0), chat(HOUR)]
    provisioned = run(*feed).balances["w"]
    assert (provisioned.free, provisioned.paid) == (500_000_000 - 2 * CENT_20, 0)
    assert run(*feed, chat(90 * DAY, "agent")).balances["w"].lapsed == 500_000_000 - 2 * CENT_20
    held = run(*feed, policy="hold")
    assert (held.balances, held.charges, held.totals.conversations, held.totals.total_units) == ({}, [], 2, 4)


def test_a_repeated_command_counts_once() -> None:
    """The same id, or the same order or grant under another id; the same order in another workspace is another."""
    bought = [command("credits.purchased", order_id="o", amount_micros=5, method="card", id=i) for i in "112"]
    given = [command("grant.assigned", 0, grant_id="o", amount_micros=3, id=i) for i in "334"]
    other = command("credits.purchased", ws="w2", order_id="o", amount_micros=5, method="card", id="1")
    result = run(STANDARD, *bought, *given, other)
    assert result.duplicates == [2, 3, 5, 6]
    assert (result.balances["w"].paid, result.balances["w"].free, result.balances["w2"].paid) == (5, 3, 5)


def test_a_command_that_contradicts_another_is_refused() -> None:
    """DOMAIN, Metering 6 and 7: under a taken id, with other terms, for a workspace that is there; the first stands."""
    first = command("credits.purchased", order_id="o", amount_micros=5, method="card", id="1")
    grant = command("grant.assigned", 0, grant_id="g", amount_micros=3, id="2")
    wrong = [
        command("credits.purchased", order_id="o", amount_micros=5, method="wire", id="1"),
        command("credits.purchased", order_id="o", amount_micros=6, method="card", id="3"),
        command("grant.assigned", 1, grant_id="g", amount_micros=3, id="4"),
        command("workspace.created", plan="standard", free_grant_micros=0, id="5"),
        command("grant.assigned", 0, grant_id="h", amount_micros=3, expires_at=stamp(T0)),
    ]
    result = run(STANDARD, first, grant, *wrong)
    assert [(letter.line - 3, letter.code, letter.field) for letter in result.dead_letters] == [
        (0, "conflict", "id"),
        (1, "conflict", "order_id"),
        (2, "conflict", "grant_id"),
        (3, "conflict", "workspace_id"),
        (4, "invalid", "expires_at"),
    ]
    assert (result.balances["w"].paid, result.balances["w"].free) == (5, 3)


def test_soonest_expiry_goes_before_age() -> None:
    """DOMAIN, Debit order 1: the younger grant pays if it ends first."""
    old = command("grant.assigned", -3 * DAY, grant_id="old", amount_micros=10**6, expires_at=stamp(T0 + 2 * DAY))
    young = command("grant.assigned", -2 * DAY, grant_id="young", amount_micros=10**6, expires_at=stamp(T0 + DAY))
    assert [charge.lot for charge in run(STANDARD, old, young, chat(0)).charges] == ["young"]


def test_a_bots_plan_holds_from_the_very_millisecond() -> None:
    """DOMAIN, Prices: in force at the first message, also when both have one time."""
    own = command("plan.changed", HOUR, bot_id="b", plan="enterprise", session_price_micros=1)
    assert [charge.amount for charge in run(STANDARD, own, chat(HOUR - 1, user="v"), chat(HOUR)).charges] == [
        CENT_20,
        1,
    ]


def test_a_command_may_be_ahead_of_its_time_and_does_not_end_the_feed() -> None:
    """A change of plan can be announced; what it does not move is the instant at which grants are judged."""
    lines = [
        command("workspace.created", 0, plan="standard", free_grant_micros=900_000),
        command("plan.changed", 100 * DAY, plan="enterprise", session_price_micros=1),
        chat(0),
    ]
    result = meter(lines, T0)
    assert (result.dead_letters, result.end) == ([], T0)
    assert (result.balances["w"].free, result.balances["w"].lapsed) == (700_000, 0)
