"""Account commands: what the console tells a wallet, in the envelope of chat events; `time` is when it takes effect."""

from typing import Annotated, Literal

import msgspec

from schemas.events import Instant, Name

Amount = Annotated[int, msgspec.Meta(ge=0, le=10**15)]
"""Micro-dollars, at most a billion dollars."""

PositiveAmount = Annotated[int, msgspec.Meta(gt=0, le=10**15)]

PlanName = Literal["standard", "enterprise"]


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What all account commands have in common."""

    specversion: Literal["1.0"]
    id: Name
    source: Name
    time: Instant


class WorkspaceData(msgspec.Struct, frozen=True, kw_only=True):
    """`session_price_micros` is required on enterprise. The free grant defaults to $500 on standard, else to 0."""

    workspace_id: Name
    plan: PlanName
    session_price_micros: Amount | None = None
    free_grant_micros: Amount | None = None
    owner: str = ""
    name: str = ""


class WorkspaceCreated(Command, frozen=True, tag="billing.workspace.created"):
    """Opens the account, with its plan and its first free grant."""

    data: WorkspaceData


class BotData(msgspec.Struct, frozen=True, kw_only=True):
    """`plan` gives the bot a plan of its own; an enterprise price not named here is the workspace's."""

    workspace_id: Name
    bot_id: Name
    name: str = ""
    owner: str = ""
    plan: PlanName | None = None
    session_price_micros: Amount | None = None


class BotCreated(Command, frozen=True, tag="billing.bot.created"):
    """Names a bot and its owner."""

    data: BotData


class GrantData(msgspec.Struct, frozen=True, kw_only=True):
    """Spendable from the command's time until, and not at, `expires_at` (default: 90 x 24 h later)."""

    workspace_id: Name
    grant_id: Name
    amount_micros: PositiveAmount
    expires_at: Instant | None = None


class GrantAssigned(Command, frozen=True, tag="billing.grant.assigned"):
    """Free credit for all bots of the workspace."""

    data: GrantData


class PurchaseData(msgspec.Struct, frozen=True, kw_only=True):
    """With `bot_id` the credit is designated to that bot, else shared by all."""

    workspace_id: Name
    order_id: Name
    amount_micros: PositiveAmount
    method: Name
    bot_id: Name | None = None


class CreditsPurchased(Command, frozen=True, tag="billing.credits.purchased"):
    """Paid credit that has cleared."""

    data: PurchaseData


class PlanData(msgspec.Struct, frozen=True, kw_only=True):
    """With `bot_id` the plan is that bot's own, else the workspace's."""

    workspace_id: Name
    plan: PlanName
    bot_id: Name | None = None
    session_price_micros: Amount | None = None


class PlanChanged(Command, frozen=True, tag="billing.plan.changed"):
    """Bills every conversation whose first message is at or after the command's time."""

    data: PlanData


AnyCommand = WorkspaceCreated | BotCreated | GrantAssigned | CreditsPurchased | PlanChanged

COMMAND_PREFIX = "billing."
"""Every account command's type begins so; a feed is routed by it."""
