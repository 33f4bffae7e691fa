"""The decision about a publish request: two gates, one for credit and one for approval (docs/adr/0033).

Metering does not depend on it: a bot that is not published is metered and charged all the same.
"""

from typing import Final, Literal

import msgspec

from meter.core.wallet.entitlements import (
    LOW_BALANCE_MICROS,
    BotCredit,
    allowed_units,
    shows_attribution,
)
from schemas.commands import PlanName
from schemas.plans import PLANS
from schemas.publish_messages import MESSAGES, Figures, Message, MessageKey, fill
from schemas.refusals import RefusalCode, Refused

PublishDecision = Literal["refused", "waiting_for_order", "waiting_for_approval", "published"]

DECISIONS: Final[tuple[PublishDecision, ...]] = ("refused", "waiting_for_order", "waiting_for_approval", "published")
"""The decisions in ascending order: more credit never leads to an earlier one."""


class PublishRequest(msgspec.Struct, frozen=True, kw_only=True):
    """All that decides about a publish request. There is no choice of a plan in it: the bot has one already.

    `channels`: names of the channels that are enabled for the bot.
    `unit_micros`: the price of a unit of the bot's plan, in micro-dollars.
    `auto_approval`: the setting of the workspace; None where it was never set.
    `has_completed_top_up`: whether a purchase of the workspace has completed.
    `review`: the requester asks for an administrator's decision in any case.
    `approved`: the administrator's decision; None before it.
    `is_first`: the bot was never published before.
    `waits_for_order`: the request came with an order that has not completed.
    `order_settled`: that order has completed since.
    `payment_in_progress`: an instant payment of the bot's scope, other than that order, waits for its outcome.
    """

    plan: PlanName = "standard"
    credit: BotCredit = BotCredit()
    unit_micros: int = 0
    channels: tuple[str, ...] = ()
    auto_approval: bool | None = None
    has_completed_top_up: bool = False
    review: bool = False
    approved: bool | None = None
    is_first: bool = True
    waits_for_order: bool = False
    order_settled: bool = False
    payment_in_progress: bool = False
    low_micros: int = LOW_BALANCE_MICROS


class Publishing(msgspec.Struct, frozen=True, kw_only=True):
    """A decision, its code (the decision itself, or why it is refused), and what the requester reads.

    `allowed_units` is how many units the credit covers; None where a unit costs nothing. `attribution` says whether the
    web channel must name the vendor. `may_request_upgrade` says whether the upgrade to Enterprise is offered.
    """

    decision: PublishDecision
    code: PublishDecision | RefusalCode
    message_key: MessageKey
    allowed_units: int | None
    attribution: bool
    may_request_upgrade: bool

    def message(self, bot: str, request: PublishRequest) -> Message:
        """The message for the requester. `bot` is the bot's name."""
        credit = request.credit
        figures = Figures(
            bot=bot,
            balance_micros=credit.available_micros(request.plan),
            free_micros=credit.free_micros,
            paid_micros=credit.paid_micros,
            units=self.allowed_units,
            unit=PLANS[request.plan].unit,
        )
        return fill(MESSAGES[self.message_key], figures)


def decide(request: PublishRequest) -> Publishing:
    """Decide about a request: when it is made, when its order settles, and when an administrator has decided.

    The credit gate is looked at each time, so an administrator cannot publish a bot without credit.
    """
    decision, code, message_key = _gates(request)
    auto = auto_approves(request.plan, request.auto_approval, has_completed_top_up=request.has_completed_top_up)
    return Publishing(
        decision=decision,
        code=code,
        message_key=message_key,
        allowed_units=allowed_units(request.credit.available_micros(request.plan), request.unit_micros),
        attribution=shows_attribution(request.credit, request.plan),
        may_request_upgrade=request.plan == "standard" and auto,
    )


def auto_approves(plan: PlanName, setting: bool | None, *, has_completed_top_up: bool) -> bool:
    """Whether requests of a workspace pass without an administrator.

    Without a setting they do on Enterprise only. On Standard the setting counts once a purchase has completed.
    """
    if plan == "enterprise":
        return setting is not False
    return setting is True and has_completed_top_up


def auto_approval_refusal(plan: PlanName, enabled: bool, *, has_completed_top_up: bool) -> Refused | None:
    """Return why a workspace on `plan` may not set auto-approval to `enabled`; None if it may.

    Code: `no_completed_top_up`.
    """
    if plan == "standard" and enabled and not has_completed_top_up:
        return Refused("no_completed_top_up", "enabled: no purchase has completed yet; add funds first")
    return None


def payment_message_key(waiting: PublishRequest | None, *, is_published: bool) -> MessageKey | None:
    """The message when a payment for a bot has completed.

    `waiting` is the request that waits for the payment's order, with the credit as it is now. Without one, a bot that
    is not published yet gets the button that publishes it; a published one needs no message.
    """
    if waiting is not None:
        return decide(msgspec.structs.replace(waiting, order_settled=True)).message_key
    return None if is_published else "payment_processed"


_Outcome = tuple[PublishDecision, PublishDecision | RefusalCode, MessageKey]


def _gates(request: PublishRequest) -> _Outcome:
    """Decision, code and message of a request."""
    if not request.channels:
        return "refused", "no_channel", "no_channel"
    if request.approved is False:
        return "refused", "declined", "declined"
    if request.plan == "standard" and request.credit.available_micros(request.plan) <= 0:
        return _without_credit(request)
    auto = auto_approves(request.plan, request.auto_approval, has_completed_top_up=request.has_completed_top_up)
    if request.approved or (auto and not request.review):
        return "published", "published", _published(request)
    return "waiting_for_approval", "waiting_for_approval", "waiting_for_approval"


def _without_credit(request: PublishRequest) -> _Outcome:
    if request.waits_for_order and not request.order_settled:
        return "waiting_for_order", "waiting_for_order", "waiting_for_order"
    if request.payment_in_progress:
        return "refused", "no_credit", "payment_in_progress"
    return "refused", "no_credit", "first_zero_balance" if request.is_first else "zero_balance"


def _published(request: PublishRequest) -> MessageKey:
    """The message of a published bot: what its credit is, the most telling part of it."""
    credit = request.credit
    if request.plan == "enterprise":
        return "published_on_enterprise"
    if request.order_settled:
        return "payment_processed_published"
    if request.is_first and not credit.has_paid:
        return "first_with_free"
    if credit.paid_micros < 0 or (credit.free_micros <= 0 and credit.paid_micros <= request.low_micros):
        return "low_balance"
    if credit.has_paid:
        return "with_own_paid" if credit.designated_micros > 0 else "with_shared_paid"
    return "with_own_free" if credit.own_free_micros > 0 else "with_shared_free"
