"""The matrix of roles: who may give which command, open which part of the console, and read what (docs/adr/0033)."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

Role = Literal["owner", "admin", "app_owner", "collaborator", "shared", "platform_admin"]
"""owner, admin, shared: of the workspace. app_owner: the owner of the bot that an act is about. collaborator: on that
bot's team; about the workspace, a member who may make bots. platform_admin: of the vendor, for all workspaces."""

MemberRole = Literal["owner", "admin", "collaborator", "shared"]
"""The roles that a member can have in a workspace."""

Act = str
"""The type of a command, the name of a view (`view.`) or of a part of the console
(`open.`), or an act in the bot's builder (`edit.`)."""

ROLE_TITLES: Final[Mapping[Role, str]] = {
    "owner": "an owner of the workspace",
    "admin": "an administrator of the workspace",
    "app_owner": "the bot's owner",
    "collaborator": "a collaborator",
    "shared": "a shared user",
    "platform_admin": "a platform administrator",
}
"""What a person reads for each role, in the order of the columns below."""

_LETTERS: Final = dict(zip("OABCSP", ROLE_TITLES, strict=True))


class Rule(msgspec.Struct, frozen=True):
    """The roles that may do an act about one bot, and about the workspace or its shared credit."""

    bot: frozenset[Role]
    workspace: frozenset[Role]

    def roles(self, *, on_bot: bool) -> frozenset[Role]:
        """Return the roles for an act about a bot, or about the workspace."""
        return self.bot if on_bot else self.workspace


def _roles(letters: str) -> frozenset[Role]:
    return frozenset(_LETTERS[letter] for letter in letters if letter != "-")


# Columns: Owner, Admin, Bot's owner, Collaborator, Shared user, Platform administrator. First for an act about one bot,
# then for one about the workspace; all dashes where the act has no such form.
_TABLE: Final = """
billing.workspace.created        ------  -----P
billing.member.added             ------  OA---P
billing.member.removed           ------  OA---P
billing.bot.created              ------  OA-C-P
billing.bot.owner_changed        OAB--P  ------
billing.bot.member_added         OAB--P  ------
billing.bot.member_removed       OAB--P  ------
billing.grant.assigned           -----P  -----P
billing.credits.purchased        -----P  -----P
billing.credit.moved             OA---P  OA---P
billing.debit_order.set          OAB--P  OA---P
billing.plan.changed             OA---P  -----P
billing.order.placed             OAB--P  OA---P
billing.payment.settled          -----P  -----P
billing.payment.failed           -----P  -----P
billing.payment.action_required  -----P  -----P
billing.order.cancelled          OAB--P  OA---P
billing.order.refunded           -----P  -----P
billing.method.saved             ------  OAB--P
billing.method.removed           ------  OA---P
billing.auto_reload.set          OAB--P  OA---P
billing.threshold.set            OAB--P  OA---P
billing.threshold.removed        OAB--P  OA---P
billing.auto_approval.set        ------  OA---P
billing.bot.publish_requested    OAB--P  ------
billing.bot.publish_decided      OA---P  ------
billing.bot.unpublished          OAB--P  ------
billing.upgrade.requested        OAB--P  OAB--P
billing.upgrade.decided          -----P  -----P
billing.licence.set              ------  -----P
billing.support.purchased        OAB--P  OA---P
billing.support.cancelled        OAB--P  OA---P
billing.unit.voided              -----P  -----P
billing.credit.adjusted          -----P  -----P
open.manage_workspace            ------  OA---P
open.admin_console               ------  OA---P
open.billing                     ------  OA---P
open.team                        OABC-P  OA---P
view.plans                       OABCSP  OABCSP
view.summary                     ------  OA---P
view.usage                       OABC-P  OA---P
view.bots                        OABC-P  OA---P
view.entitlement                 OABC-P  OA---P
view.members                     OABC-P  OA---P
view.ledger                      OAB--P  OA---P
view.lots                        OAB--P  OA---P
view.orders                      OAB--P  OA---P
view.invoices                    OAB--P  OA---P
view.notices                     OAB--P  OA---P
view.commands                    OAB--P  OA---P
view.explanation                 OAB--P  OA---P
view.events                      OAB--P  OA---P
view.publish_requests            OAB--P  OA---P
view.support                     OAB--P  OA---P
edit.bot_settings                OAB--P  ------
edit.bot_tasks                   OABC-P  ------
"""

MATRIX: Final[Mapping[Act, Rule]] = {
    act: Rule(_roles(bot), _roles(workspace)) for act, bot, workspace in map(str.split, _TABLE.strip().splitlines())
}
"""Act -> who may do it. `schemas.access.may` adds what depends on the context."""
