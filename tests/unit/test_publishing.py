"""The decision about a publish request, as a page of rules: each row names the points that it shows.

`K` are the scenarios of publishing. `K12` and `K19` to `K28` are messages on screen, whose wording is our own.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from meter.core.wallet.commands.publishing import (
    PublishRequest,
    auto_approval_refusal,
    decide,
    payment_message_key,
)
from meter.core.wallet.entitlements import BotCredit
from schemas.publish_messages import MESSAGES, MessageKey

USD = 1_000_000
PUBLISHED, APPROVAL, ORDER, REFUSED = "published", "waiting_for_approval", "waiting_for_order", "refused"
AUTO = {"auto_approval": True, "has_completed_top_up": True}
LATER: dict[str, Any] = {"is_first": False}


def free(dollars: int = 500, *, own: int = 0) -> BotCredit:
    """Free credit that all bots share, and `own` that only this bot may spend."""
    return BotCredit(free_micros=(dollars + own) * USD, own_free_micros=own * USD)


def paid(dollars: int, *, shared: int = 0, free: int = 0) -> BotCredit:
    """Paid credit designated to the bot, shared paid credit, free credit."""
    return BotCredit(free_micros=free * USD, designated_micros=dollars * USD, shared_micros=shared * USD)


def asked(credit: BotCredit, **more: Any) -> PublishRequest:
    """A first request on Standard at $0.20, with one channel."""
    return PublishRequest(credit=credit, **{"unit_micros": 200_000, "channels": ("webchat",), **more})


def enterprise(credit: BotCredit, **more: Any) -> PublishRequest:
    """The same on Enterprise."""
    return asked(credit, plan="enterprise", **more)


@dataclass(frozen=True)
class Row:
    """A request, the decision and its code, and the message."""

    points: str
    law: str
    request: PublishRequest
    decision: str
    code: str
    message: MessageKey


def row(points: str, law: str, request: PublishRequest, decision: str, message: MessageKey, code: str = "") -> Row:
    return Row(points, law, request, decision, code or decision, message)


APPROVED, DECLINED = {"approved": True}, {"approved": False}
ROWS = [
    row("K1 K2 K32", "free credit: an administrator decides", asked(free()), APPROVAL, "waiting_for_approval"),
    row("K1 K4", "Enterprise: at once", enterprise(paid(100)), PUBLISHED, "published_on_enterprise"),
    row("K3 X4", "paid, auto-approval on: at once", asked(paid(100), **AUTO), PUBLISHED, "with_own_paid"),
    row("K3 X4", "paid, auto-approval off: asked", asked(paid(100)), APPROVAL, "waiting_for_approval"),
    row("K4", "Enterprise without any credit", enterprise(BotCredit()), PUBLISHED, "published_on_enterprise"),
    row("K4 X22", "Enterprise below zero", enterprise(paid(0, shared=-9)), PUBLISHED, "published_on_enterprise"),
    row("K5", "no channel", asked(free(), channels=(), **AUTO), REFUSED, "no_channel", "no_channel"),
    row("K5", "no channel, Enterprise", enterprise(paid(9), channels=()), REFUSED, "no_channel", "no_channel"),
    row("K6 X5 K21", "first publish on free credit", asked(free(), **APPROVED), PUBLISHED, "first_with_free"),
    row("K7 X5", "first publish on paid credit", asked(paid(100), **APPROVED), PUBLISHED, "with_own_paid"),
    row("K8 K21 X4", "free, auto-approval on", asked(free(), **AUTO), PUBLISHED, "first_with_free"),
    row("K11 X4", "on, but nothing was bought", asked(free(), auto_approval=True), APPROVAL, "waiting_for_approval"),
    row(
        "K11 X4",
        "bought, but never turned on",
        asked(free(), has_completed_top_up=True),
        APPROVAL,
        "waiting_for_approval",
    ),
    row("K14", "a hosted page is a channel", asked(free(), channels=("hosted",), **AUTO), PUBLISHED, "first_with_free"),
    row("K15 K16 K19", "first, no credit", asked(BotCredit(), **AUTO), REFUSED, "first_zero_balance", "no_credit"),
    row("K15 K19", "first, overdrawn", asked(paid(0, shared=-1)), REFUSED, "first_zero_balance", "no_credit"),
    row("K23", "later, no credit", asked(BotCredit(), **AUTO, **LATER), REFUSED, "zero_balance", "no_credit"),
    row("K23 X28", "later, overdrawn", asked(paid(0, shared=-1), **LATER), REFUSED, "zero_balance", "no_credit"),
    row("K22 X28", "later, low", asked(paid(50), **AUTO, **LATER), PUBLISHED, "low_balance"),
    row("K22 X28", "later, low and shared", asked(paid(0, shared=1), **AUTO, **LATER), PUBLISHED, "low_balance"),
    row(
        "K22",
        "later, overdrawn, free left",
        asked(paid(0, shared=-1, free=9), **AUTO, **LATER),
        PUBLISHED,
        "low_balance",
    ),
    row("K22", "low is what the owner set", asked(paid(60), low_micros=60 * USD, **AUTO), PUBLISHED, "low_balance"),
    row("K24", "later, paid", asked(paid(51), **AUTO, **LATER), PUBLISHED, "with_own_paid"),
    row("K24", "later, paid beside free", asked(paid(1, free=9), **AUTO, **LATER), PUBLISHED, "with_own_paid"),
    row("K25", "later, the bot's own free credit", asked(free(0, own=5), **AUTO, **LATER), PUBLISHED, "with_own_free"),
    row("K26", "later, free credit that bots share", asked(free(1), **AUTO, **LATER), PUBLISHED, "with_shared_free"),
    row("K27", "later, shared paid", asked(paid(0, shared=51), **AUTO, **LATER), PUBLISHED, "with_shared_paid"),
    row("K27", "and free", asked(paid(0, shared=1, free=1), **AUTO, **LATER), PUBLISHED, "with_shared_paid"),
    row(
        "K28",
        "an earlier payment is in progress",
        asked(BotCredit(), payment_in_progress=True, **AUTO),
        REFUSED,
        "payment_in_progress",
        "no_credit",
    ),
    row(
        "K28",
        "which stops no bot with credit",
        asked(free(), payment_in_progress=True, **AUTO),
        PUBLISHED,
        "first_with_free",
    ),
    row("X25", "waits for its order", asked(BotCredit(), waits_for_order=True), ORDER, "waiting_for_order"),
    row(
        "X25",
        "with credit it need not wait",
        asked(free(), waits_for_order=True, **AUTO),
        PUBLISHED,
        "first_with_free",
    ),
    row(
        "K17 K20 X19 X25",
        "its order has settled",
        asked(paid(100), waits_for_order=True, order_settled=True, **AUTO),
        PUBLISHED,
        "payment_processed_published",
    ),
    row(
        "X4 X25",
        "settled, and approval is off",
        asked(paid(100), waits_for_order=True, order_settled=True),
        APPROVAL,
        "waiting_for_approval",
    ),
    row(
        "K15",
        "settled, and spent by then",
        asked(BotCredit(), waits_for_order=True, order_settled=True),
        REFUSED,
        "first_zero_balance",
        "no_credit",
    ),
    row("K29 X4", "Enterprise, turned off", enterprise(paid(9), auto_approval=False), APPROVAL, "waiting_for_approval"),
    row("K29", "Enterprise, turned on", enterprise(paid(9), auto_approval=True), PUBLISHED, "published_on_enterprise"),
    row("K30", "review asked for", asked(paid(100), review=True, **AUTO), APPROVAL, "waiting_for_approval"),
    row("K30", "review on Enterprise", enterprise(paid(9), review=True), APPROVAL, "waiting_for_approval"),
    row("K32 K26", "approved, free left", asked(free(), **APPROVED, **LATER), PUBLISHED, "with_shared_free"),
    row("K33", "approved, none left", asked(BotCredit(), **APPROVED), REFUSED, "first_zero_balance", "no_credit"),
    row("K34 K27", "approved, paid", asked(paid(0, shared=99), **APPROVED, **LATER), PUBLISHED, "with_shared_paid"),
    row("M3", "declined", asked(paid(100), **DECLINED, **AUTO), REFUSED, "declined", "declined"),
    row("M3", "approved goes before review", asked(paid(100), review=True, **APPROVED), PUBLISHED, "with_own_paid"),
]


@pytest.mark.parametrize("each", ROWS, ids=[f"{each.points}: {each.law}" for each in ROWS])
def test_a_request_is_decided(each: Row) -> None:
    """Decision, code and message."""
    found = decide(each.request)
    assert (found.decision, found.code, found.message_key) == (each.decision, each.code, each.message)


def test_every_message_that_a_decision_can_have_is_in_the_table() -> None:
    """K19 to K28: the one that is left comes with a payment, below."""
    assert set(MESSAGES) - {each.message for each in ROWS} == {"payment_processed"}


@pytest.mark.parametrize(
    ("points", "waiting", "is_published", "message"),
    [
        ("K18 K20 X25: no request, the button", None, False, "payment_processed"),
        ("a published bot needs none", None, True, None),
        (
            "K20 X25: a request waits",
            asked(paid(100), waits_for_order=True, **AUTO),
            False,
            "payment_processed_published",
        ),
        ("X4: approval is off", asked(paid(100), waits_for_order=True), False, "waiting_for_approval"),
    ],
)
def test_a_payment_completes(
    points: str, waiting: PublishRequest | None, is_published: bool, message: MessageKey | None
) -> None:
    """What the buyer reads about the bot that the payment was for."""
    assert points
    assert payment_message_key(waiting, is_published=is_published) == message


def test_the_button_publishes() -> None:
    """K18: it appears with the credit."""
    assert MESSAGES["payment_processed"].action == "publish_now"


def test_units_can_be_seen() -> None:
    """K9: those that the credit covers."""
    assert decide(asked(free())).allowed_units == 2_500


def test_no_plan_is_chosen() -> None:
    """K10: a request has the plan of its bot, and no field for another one."""
    assert [name for name in PublishRequest.__struct_fields__ if "plan" in name] == ["plan"]


@pytest.mark.parametrize(
    ("points", "request_", "shows"),
    [
        ("K12 K13: free credit on Standard", asked(free()), True),
        ("K13: paid credit for the bot", asked(paid(1, free=500)), False),
        ("X29: shared paid credit", asked(paid(0, shared=1, free=500)), False),
        ("K13: Enterprise", enterprise(free()), False),
    ],
)
def test_attribution_shows_on_free_credit(points: str, request_: PublishRequest, shows: bool) -> None:
    """On the web channel."""
    assert points
    assert decide(request_).attribution == shows


@pytest.mark.parametrize(
    ("points", "request_", "offered"),
    [
        ("K31 X21: auto-approval on", asked(free(), **AUTO), True),
        ("K31: off", asked(free()), False),
        ("Enterprise has it", enterprise(free()), False),
    ],
)
def test_the_upgrade_is_offered_while_publishing(points: str, request_: PublishRequest, offered: bool) -> None:
    """It is requested then, not made."""
    assert points
    assert decide(request_).may_request_upgrade == offered


@pytest.mark.parametrize(
    ("points", "plan", "enabled", "bought", "code"),
    [
        ("K11: nothing bought", "standard", True, False, "no_completed_top_up"),
        ("K11: bought", "standard", True, True, None),
        ("K11: off at any time", "standard", False, False, None),
        ("K29: Enterprise on", "enterprise", True, False, None),
        ("K29: Enterprise off", "enterprise", False, False, None),
    ],
)
def test_auto_approval_can_be_set(points: str, plan: Any, enabled: bool, bought: bool, code: str | None) -> None:
    """On Standard it needs a purchase that has completed."""
    assert points
    refused = auto_approval_refusal(plan, enabled, has_completed_top_up=bought)
    assert (refused.code if refused else None) == code
