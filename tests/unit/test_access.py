"""Who may do what, as a page of rules: each row names the points that it shows.

Letters: O owner, A admin, B the bot's owner, C collaborator, S shared user, P platform administrator. No letter: no
role may.
"""

from typing import Any, Final

import msgspec
import pytest

from schemas.access import Allowed, Context, Person, may, roles_of
from schemas.access_matrix import MATRIX, Role
from schemas.commands import AnyCommand
from schemas.refusals import Refused

LETTERS: Final[dict[str, Role]] = {
    "O": "owner",
    "A": "admin",
    "B": "app_owner",
    "C": "collaborator",
    "S": "shared",
    "P": "platform_admin",
}
BOT: Final[dict[str, Any]] = {"on_bot": True}
ENTERPRISE: Final[dict[str, Any]] = {"workspace_plan": "enterprise"}
MEMBER: Final[dict[str, Any]] = {"named_role": "collaborator"}

ROWS: list[tuple[str, str, dict[str, Any], str]] = [
    # points and law, act, context, who may
    ("O4 M5: the Admin Console", "open.admin_console", {}, "OAP"),
    ("O4: Manage Workspace", "open.manage_workspace", {}, "OAP"),
    ("M6 M7: Billing, never for a shared user", "open.billing", {}, "OAP"),
    ("O4 J2: the summary of all bots", "view.summary", {}, "OAP"),
    ("J14 J15: the list of bots", "view.bots", {}, "OAP"),
    ("J1 O6 O9: usage of a bot", "view.usage", BOT, "OABCP"),
    ("A9: usage of the workspace", "view.usage", {}, "OAP"),
    ("J25: what a bot may do", "view.entitlement", BOT, "OABCP"),
    ("O9: money of a bot, not for collaborators", "view.ledger", BOT, "OABP"),
    ("F5: orders of a bot", "view.orders", BOT, "OABP"),
    ("F5: invoices of the workspace", "view.invoices", {}, "OAP"),
    ("C8: lots of the workspace", "view.lots", {}, "OAP"),
    ("J37: the support plan", "view.support", BOT, "OABP"),
    ("M3: publish requests", "view.publish_requests", {}, "OAP"),
    ("B9: plans and limits, for all", "view.plans", {}, "OABCSP"),
    ("N8 N10: the team of a bot", "open.team", BOT, "OABCP"),
    ("O5: invite to the workspace", "billing.member.added", {"given_role": "collaborator"}, "OAP"),
    ("O5 N11: make an admin", "billing.member.added", {"given_role": "admin"}, "OP"),
    ("O5: make an owner", "billing.member.added", {"given_role": "owner"}, "OP"),
    ("O5: take the role of an admin", "billing.member.added", {"named_role": "admin", "given_role": "shared"}, "OP"),
    ("O5: remove a member", "billing.member.removed", MEMBER, "OAP"),
    ("O5: remove an admin", "billing.member.removed", {"named_role": "admin"}, "OP"),
    ("O5: remove one of two owners", "billing.member.removed", {"named_role": "owner", "owners": 2}, "OP"),
    ("O9: make a bot of one's own", "billing.bot.created", {}, "OACP"),
    ("X18: with a plan, in an Enterprise workspace", "billing.bot.created", {**ENTERPRISE, "names_plan": True}, "OAP"),
    ("L2: with a plan, in a Standard workspace", "billing.bot.created", {"names_plan": True}, "P"),
    ("O7: invite a collaborator", "billing.bot.member_added", {**BOT, **MEMBER}, "OABP"),
    ("O7: remove a collaborator", "billing.bot.member_removed", {**BOT, **MEMBER}, "OABP"),
    ("N1 N2 O6 O8: change a bot's owner", "billing.bot.owner_changed", {**BOT, **MEMBER}, "OABP"),
    ("N5: settings of a bot", "edit.bot_settings", BOT, "OABP"),
    ("N5 O9: tasks of a bot", "edit.bot_tasks", BOT, "OABCP"),
    ("B1: a new workspace", "billing.workspace.created", {}, "P"),
    ("C14: free credit", "billing.grant.assigned", {}, "P"),
    ("C15 X14: free credit for a bot", "billing.grant.assigned", BOT, "P"),
    ("D7 D8: move credit", "billing.credit.moved", BOT, "OAP"),
    ("D13 N6: a bot's debit order", "billing.debit_order.set", BOT, "OABP"),
    ("D13: the workspace's debit order", "billing.debit_order.set", {}, "OAP"),
    ("L2: a plan for the workspace", "billing.plan.changed", ENTERPRISE, "P"),
    ("X18: a plan for a bot in an Enterprise workspace", "billing.plan.changed", {**BOT, **ENTERPRISE}, "OAP"),
    ("L2 X18: a plan for a bot in a Standard workspace", "billing.plan.changed", BOT, "P"),
    ("D3 M12 N5: buy for a bot", "billing.order.placed", BOT, "OABP"),
    ("M8 M9 M10: buy for all bots", "billing.order.placed", {}, "OAP"),
    ("F4: what the gateway answers", "billing.payment.settled", {}, "P"),
    ("F20: cancel an order", "billing.order.cancelled", BOT, "OABP"),
    ("money back", "billing.order.refunded", {}, "P"),
    ("H6: save a payment method", "billing.method.saved", {}, "OABP"),
    ("H6: remove one", "billing.method.removed", {}, "OAP"),
    ("G1 G11: auto-reload of a bot", "billing.auto_reload.set", BOT, "OABP"),
    ("G11: auto-reload of the shared credit", "billing.auto_reload.set", {}, "OAP"),
    ("F3: a threshold of a bot", "billing.threshold.set", BOT, "OABP"),
    ("K11 K29: auto-approval", "billing.auto_approval.set", {}, "OAP"),
    ("M2 K30: ask to publish", "billing.bot.publish_requested", BOT, "OABP"),
    ("M3 K32 K33 K34: decide about it", "billing.bot.publish_decided", BOT, "OAP"),
    ("take a bot back", "billing.bot.unpublished", BOT, "OABP"),
    ("L5 N6 X21: ask for the upgrade", "billing.upgrade.requested", {}, "OABP"),
    ("L5: for one bot", "billing.upgrade.requested", BOT, "OABP"),
    ("L2 L5: decide about it", "billing.upgrade.decided", {}, "P"),
    ("P1: licences", "billing.licence.set", {}, "P"),
    ("Q3 N5: support for a bot", "billing.support.purchased", BOT, "OABP"),
    ("Q3: support for the workspace", "billing.support.purchased", {}, "OAP"),
    ("Q12: cancel it", "billing.support.cancelled", BOT, "OABP"),
    ("a dispute", "billing.unit.voided", BOT, "P"),
    ("an adjustment", "billing.credit.adjusted", {}, "P"),
    ("no such form: a bot's licence", "billing.licence.set", BOT, ""),
    ("no such form: publish a workspace", "billing.bot.publish_requested", {}, ""),
]

COMMANDS = [
    "workspace.created",
    "member.added",
    "member.removed",
    "bot.created",
    "bot.owner_changed",
    "bot.member_added",
    "bot.member_removed",
    "grant.assigned",
    "credits.purchased",
    "credit.moved",
    "debit_order.set",
    "plan.changed",
    "order.placed",
    "payment.settled",
    "payment.failed",
    "payment.action_required",
    "order.cancelled",
    "order.refunded",
    "method.saved",
    "method.removed",
    "auto_reload.set",
    "threshold.set",
    "threshold.removed",
    "auto_approval.set",
    "bot.publish_requested",
    "bot.publish_decided",
    "bot.unpublished",
    "upgrade.requested",
    "upgrade.decided",
    "licence.set",
    "support.purchased",
    "support.cancelled",
    "unit.voided",
    "credit.adjusted",
]
VIEWS = [
    "summary",
    "usage",
    "bots",
    "ledger",
    "orders",
    "invoices",
    "notices",
    "lots",
    "commands",
    "explanation",
    "events",
]


@pytest.mark.parametrize(("points", "act", "context", "who"), ROWS, ids=[f"{row[0]}, {row[1]}" for row in ROWS])
def test_who_may(points: str, act: str, context: dict[str, Any], who: str) -> None:
    """Each role by itself: those that are listed may, all others may not."""
    assert points
    about = Context(**context)
    able = {letter for letter, role in LETTERS.items() if may(frozenset({role}), act, about) == Allowed()}
    assert able == set(who)


def test_every_command_and_every_view_has_a_rule() -> None:
    """Those that are planned, and those that the product reads today."""
    assert {f"billing.{name}" for name in COMMANDS} == {act for act in MATRIX if act.startswith("billing.")}
    assert {f"view.{name}" for name in VIEWS} <= set(MATRIX)
    today = {str(msgspec.inspect.type_info(each).tag) for each in AnyCommand.__args__}  # type: ignore[attr-defined]
    assert today <= set(MATRIX)


def test_a_platform_administrator_may_do_all_that_any_role_may() -> None:
    """And no act is without a role that may do it."""
    for act, rule in MATRIX.items():
        assert all(not roles or "platform_admin" in roles for roles in (rule.bot, rule.workspace)), act
        assert rule.bot | rule.workspace, act


@pytest.mark.parametrize(
    ("points", "act", "context", "code", "names"),
    [
        ("O5: the last owner cannot leave", "billing.member.removed", {"named_is_self": True}, "last_owner", "user_id"),
        ("O5: nor be removed", "billing.member.removed", {}, "last_owner", "another member an owner"),
        ("O5: nor become an admin", "billing.member.added", {"given_role": "admin"}, "last_owner", "user_id"),
        ("O5: an owner stays an owner", "billing.member.added", {"given_role": "owner"}, None, ""),
        ("O5: of two, one may leave", "billing.member.removed", {"named_is_self": True, "owners": 2}, None, ""),
        ("O5: of two, one may become an admin", "billing.member.added", {"given_role": "admin", "owners": 2}, None, ""),
    ],
)
def test_a_workspace_keeps_an_owner(
    points: str, act: str, context: dict[str, Any], code: str | None, names: str
) -> None:
    """For any role that asks, also a platform administrator."""
    assert points
    for role in ("owner", "platform_admin"):
        found = may(frozenset({role}), act, Context(named_role="owner", **context))
        assert (found.code if isinstance(found, Refused) else None) == code
        assert code is None or (isinstance(found, Refused) and names in found.reason)


@pytest.mark.parametrize("role", ["admin", "collaborator", "shared"])
def test_every_member_may_leave(role: Any) -> None:
    """O5, O9: the workspace, and a bot's team."""
    context = Context(named_is_self=True, named_role=role)
    assert may(frozenset({role}), "billing.member.removed", context) == Allowed()
    on_bot = msgspec.structs.replace(context, on_bot=True)
    assert may(frozenset({role}), "billing.bot.member_removed", on_bot) == Allowed()


@pytest.mark.parametrize("act", ["billing.bot.owner_changed", "billing.bot.member_added"])
def test_a_bot_is_given_to_members_only(act: str) -> None:
    """N3: to any member of the workspace, on the bot's team or not; and to no other person."""
    owner = frozenset[Role]({"owner"})
    found = may(owner, act, Context(on_bot=True))
    assert isinstance(found, Refused)
    assert (found.code, "add the person to the workspace" in found.reason) == ("no_member", True)
    assert may(owner, act, Context(on_bot=True, named_role="shared")) == Allowed()


def test_a_refusal_says_who_may() -> None:
    """The sentence says whom to ask."""
    found = may(frozenset({"collaborator"}), "billing.order.placed", Context(on_bot=True))
    assert found == Refused(
        "not_allowed",
        "by: billing.order.placed needs an owner of the workspace, an administrator of the workspace, the bot's owner "
        "or a platform administrator; ask one of them to do it",
    )
    wrong_form = may(frozenset({"owner"}), "billing.bot.publish_requested", Context())
    assert isinstance(wrong_form, Refused)
    assert wrong_form.reason.endswith("name a bot")


@pytest.mark.parametrize(
    ("points", "person", "bot_id", "roles"),
    [
        ("O6: own bot", Person(member_role="collaborator", owned_bots=frozenset({"b"})), "b", {"app_owner"}),
        ("O9: another bot", Person(member_role="collaborator", owned_bots=frozenset({"b"})), "c", set()),
        ("O9: team", Person(member_role="collaborator", team_bots=frozenset({"c"})), "c", {"collaborator"}),
        (
            "L5 O6: an owner of any",
            Person(member_role="admin", owned_bots=frozenset({"b"})),
            None,
            {"admin", "app_owner"},
        ),
        ("O9: a member", Person(member_role="collaborator"), None, {"collaborator"}),
        ("O4: owner of all", Person(member_role="owner"), "b", {"owner"}),
        ("M7: shared", Person(member_role="shared"), None, {"shared"}),
        ("N2: the vendor's", Person(is_platform_admin=True), "b", {"platform_admin"}),
        ("who left has none", Person(owned_bots=frozenset({"b"}), team_bots=frozenset({"c"})), "b", set()),
    ],
)
def test_the_roles_of_a_person(points: str, person: Person, bot_id: str | None, roles: set[str]) -> None:
    """For an act about one bot, or about the workspace."""
    assert points
    assert roles_of(person, bot_id) == roles
