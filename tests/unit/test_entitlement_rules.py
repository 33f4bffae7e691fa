"""What a bot may do, cases worked out by hand. Each names the points that it shows; the oracle has to agree."""

from dataclasses import dataclass

import pytest

from meter.core.wallet.entitlements import (
    BotCredit,
    Entitlement,
    Reload,
    entitlement,
    is_over_proactive_limit,
    low_limit_micros,
)
from schemas.entitlements import EntitlementRecord
from tests.oracle.entitlements import Answer, Bot, answer

USD = 1_000_000
SUFFICIENT, LOW, FREE, INACTIVE = "Sufficient funds", "Low Balance", "Using Free Credits", "Inactive"
WHY = {
    "free_credit": "free",
    "paid_credit": "paid",
    "contract": "contract",
    "reload_in_flight": "reload",
    "no_credit": "nothing",
}


@dataclass(frozen=True)
class Case:
    """A bot, and its status, what lets it answer, its units, and whether it shows attribution."""

    points: str
    law: str
    bot: Bot
    expected: Answer


def case(points: str, law: str, bot: Bot, status: str, why: str, units: int | None, shows: bool = False) -> Case:
    return Case(points, law, bot, Answer(status, why, units, shows))


CASES = [
    case("C10 J23 X29 K12", "free credit pays, attribution", Bot(free=500 * USD), FREE, "free", 2_500, True),
    case("B10", "$500 are 2,500 conversations", Bot(free=500 * USD, price=200_000), FREE, "free", 2_500, True),
    case("K13 X29", "own paid credit, free pays still", Bot(free=USD, designated=USD), FREE, "free", 10),
    case("X29", "shared paid credit removes it as well", Bot(free=USD, shared=1), FREE, "free", 5),
    case("X29", "overdrawn shared credit is none", Bot(free=USD, shared=-1), FREE, "free", 4, True),
    case("X29", "own credit beside an overdraft", Bot(free=USD, designated=1, shared=-1), FREE, "free", 5),
    case("J21", "paid credit above the limit", Bot(shared=50 * USD + 1), SUFFICIENT, "paid", 250),
    case("J22 X12 X11", "at the limit it is low", Bot(shared=50 * USD), LOW, "paid", 250),
    case("X12", "own and shared count together", Bot(designated=30 * USD, shared=21 * USD), SUFFICIENT, "paid", 255),
    case("X12", "the bot's own threshold", Bot(shared=90 * USD, thresholds=(90 * USD, 10 * USD)), LOW, "paid", 450),
    case("X12", "the shared one", Bot(shared=40 * USD, thresholds=(None, 39 * USD)), SUFFICIENT, "paid", 200),
    case("X12", "a threshold of $0 is one", Bot(shared=1, thresholds=(0, 90 * USD)), SUFFICIENT, "paid", 0),
    case("J24 E1 E2", "no credit: inactive", Bot(), INACTIVE, "nothing", 0, True),
    case("J24 X12", "inactive goes before low balance", Bot(designated=0, shared=0), INACTIVE, "nothing", 0, True),
    case("E1", "one micro-dollar is enough to answer", Bot(free=1), FREE, "free", 0, True),
    case("E1", "the overdraft weighs on free credit", Bot(free=USD, shared=-USD), INACTIVE, "nothing", 0, True),
    case("E1", "and on the bot's own credit", Bot(designated=USD, shared=-USD), INACTIVE, "nothing", 0),
    case("X2 D9", "paid first: paid pays", Bot(free=USD, shared=90 * USD, order="paid_first"), SUFFICIENT, "paid", 455),
    case("X2 D9", "paid first, and low", Bot(free=USD, shared=USD, order="paid_first"), LOW, "paid", 10),
    case("D10 X2", "paid first, none left", Bot(free=USD, shared=-1, order="paid_first"), FREE, "free", 4, True),
    case("X22", "a contract's floor", Bot("enterprise", overdraft=USD), LOW, "contract", 5),
    case("X22", "down to the floor", Bot("enterprise", shared=1 - USD, overdraft=USD), LOW, "contract", 0),
    case("X22", "not at it", Bot("enterprise", shared=-USD, overdraft=USD), INACTIVE, "nothing", 0),
    case("X22", "Standard has no floor", Bot(overdraft=USD), INACTIVE, "nothing", 0, True),
    case("X22", "the floor is 0 by default", Bot("enterprise"), INACTIVE, "nothing", 0),
    case("X30 J10", "whole units only", Bot(shared=399_999), LOW, "paid", 1),
    case("X30 B6", "at the contract's price", Bot("enterprise", shared=USD, price=350_000), LOW, "paid", 2),
    case("X30", "free of charge: no number", Bot(free=1, price=0), FREE, "free", None, True),
    case("X30", "an overdraft allows no units", Bot(shared=-USD), INACTIVE, "nothing", 0, True),
    case("X3 D12", "a reload is in flight", Bot(reload=100, in_flight=True), LOW, "reload", 0, True),
    case("X3", "down to one reload", Bot(shared=-99, reload=100, in_flight=True), LOW, "reload", 0, True),
    case("X3", "not at it", Bot(shared=-100, reload=100, in_flight=True), INACTIVE, "nothing", 0, True),
    case("X3", "the last failed", Bot(reload=9, in_flight=True, last_failed=True), INACTIVE, "nothing", 0, True),
    case("X3", "none is in flight", Bot(reload=9), INACTIVE, "nothing", 0, True),
    case("E3", "active again with credit", Bot(shared=100 * USD), SUFFICIENT, "paid", 500),
]


def product(bot: Bot) -> Entitlement:
    """What the product says about the bot."""
    assert bot.plan in ("standard", "enterprise")
    return entitlement(
        BotCredit(
            free_micros=bot.free,
            designated_micros=bot.designated,
            shared_micros=bot.shared,
            overdraft_micros=bot.overdraft,
        ),
        "enterprise" if bot.plan == "enterprise" else "standard",
        bot.price,
        debit_order="free_first" if bot.order == "free_first" else "paid_first",
        low_micros=low_limit_micros(*bot.thresholds),
        reload=Reload(reload_micros=bot.reload, in_flight=bot.in_flight, last_failed=bot.last_failed),
    )


def as_answer(found: Entitlement | EntitlementRecord) -> Answer:
    """The product's answer in the oracle's words."""
    return Answer(found.status, WHY[found.reason], found.allowed_units, found.attribution)


@pytest.mark.parametrize("each", CASES, ids=[f"{each.points}: {each.law}" for each in CASES])
def test_a_bot_may_do_what_its_credit_allows(each: Case) -> None:
    """The product and the oracle, each against the case."""
    found = product(each.bot)
    assert as_answer(found) == each.expected
    assert answer(each.bot) == each.expected
    assert found.active == (each.expected.why != "nothing")


def test_limits_and_features_are_those_of_the_bots_plan() -> None:
    """B9, X18: for the runtime to enforce; a contract's numbers stand in for the plan's "custom"."""
    standard, enterprise = (entitlement(BotCredit(), plan, 1) for plan in ("standard", "enterprise"))
    assert (standard.limits["dialog_tasks"], standard.features["topic_modeler"]) == (200, False)
    assert (enterprise.limits["dialog_tasks"], enterprise.features["topic_modeler"]) == ("custom", True)
    contracted = entitlement(BotCredit(), "enterprise", 1, contracted={"dialog_tasks": 900})
    assert contracted.limits["dialog_tasks"] == 900


@pytest.mark.parametrize(
    ("points", "plan", "delivered", "contracted", "over"),
    [
        ("R9 X27 at the limit", "standard", 500, None, False),
        ("R9 X27 beyond it", "standard", 501, None, True),
        ("R9 Standard's number is the same for all", "standard", 501, 900, True),
        ("R9 Enterprise without a number", "enterprise", 10**9, None, False),
        ("R9 at the contract's", "enterprise", 900, 900, False),
        ("R9 beyond the contract's", "enterprise", 901, 900, True),
        ("R9 a contract without any", "enterprise", 1, 0, True),
    ],
)
def test_proactive_notifications_over_the_limit(
    points: str, plan: str, delivered: int, contracted: int | None, over: bool
) -> None:
    """Of a workspace in one clock hour: signalled, never refused."""
    assert points
    assert is_over_proactive_limit("enterprise" if plan == "enterprise" else "standard", delivered, contracted) == over
