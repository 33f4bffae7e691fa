"""Account commands: CloudEvents that the console writes to change a wallet. `time` is when a command takes effect."""

from typing import Literal

import msgspec

from schemas.command_base import Amount, Command, PositiveAmount, Text
from schemas.events import Instant, Name
from schemas.forms import Form
from schemas.payment_commands import AnyPaymentCommand

PlanName = Literal["standard", "enterprise"]


class WorkspaceData(msgspec.Struct, frozen=True, kw_only=True):
    """The plan and the free grant of a new workspace.

    `session_price_micros` is required on enterprise. The free grant defaults to $500 on standard, else to 0.
    """

    workspace_id: Name
    plan: PlanName
    session_price_micros: Amount | None = None
    free_grant_micros: Amount | None = None
    owner: Text = ""
    name: Text = ""


class WorkspaceCreated(Command, frozen=True, tag="billing.workspace.created"):
    """Creates a workspace with its plan and its initial free grant."""

    data: WorkspaceData


class BotData(msgspec.Struct, frozen=True, kw_only=True):
    """The names of a bot, and its own plan if `plan` is given.

    An enterprise plan without `session_price_micros` takes the workspace's enterprise price, and is refused if
    there is none.
    """

    workspace_id: Name
    bot_id: Name
    name: Text = ""
    owner: Text = ""
    plan: PlanName | None = None
    session_price_micros: Amount | None = None


class BotCreated(Command, frozen=True, tag="billing.bot.created"):
    """Names a bot and its owner, and can give it its own plan."""

    data: BotData


class GrantData(msgspec.Struct, frozen=True, kw_only=True):
    """A free grant. It pays from the command's time until, and not at, `expires_at` (default: 90 x 24 h later).

    `grant_id` credits once: a second command with the same id and terms adds nothing.
    """

    workspace_id: Name
    grant_id: Name
    amount_micros: PositiveAmount
    expires_at: Instant | None = None


class GrantAssigned(Command, frozen=True, tag="billing.grant.assigned"):
    """Adds free credit for all bots of the workspace."""

    data: GrantData


class PurchaseData(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase. With `bot_id` its credit is designated to that bot, else all bots of the workspace share it.

    `order_id` credits once: a second command with the same id and terms adds nothing.
    """

    workspace_id: Name
    order_id: Name
    amount_micros: PositiveAmount
    method: Name
    bot_id: Name | None = None


class CreditsPurchased(Command, frozen=True, tag="billing.credits.purchased"):
    """Adds paid credit. The console writes it after the payment has cleared."""

    data: PurchaseData


class PlanData(msgspec.Struct, frozen=True, kw_only=True):
    """A plan. With `bot_id` it is that bot's own plan, else the workspace's.

    `session_price_micros` is required on enterprise.
    """

    workspace_id: Name
    plan: PlanName
    bot_id: Name | None = None
    session_price_micros: Amount | None = None


class PlanChanged(Command, frozen=True, tag="billing.plan.changed"):
    """Puts a plan in force for conversations whose first message is at or after the command's time."""

    data: PlanData


AnyCommand = WorkspaceCreated | BotCreated | GrantAssigned | CreditsPurchased | PlanChanged | AnyPaymentCommand

decode_command: Form[AnyCommand] = Form(AnyCommand)
"""The form of account commands. See `schemas.events.decode_event`."""

COMMAND_PREFIX = "billing."
"""First characters of every account command's type. A feed is routed by them."""
