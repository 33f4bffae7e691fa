"""Roles, and what each may see and do (docs/adr/0033). The matrix itself is in `schemas/access_matrix.py`."""

from typing import Final

import msgspec

from schemas.access_matrix import MATRIX, ROLE_TITLES, Act, MemberRole, Role
from schemas.commands import PlanName
from schemas.refusals import Refused


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A person as one workspace knows them. `member_role` is None for a person who is no member.

    `owned_bots` and `team_bots` are ids of bots: those that the person owns, and those that they collaborate on.
    """

    member_role: MemberRole | None = None
    is_platform_admin: bool = False
    owned_bots: frozenset[str] = frozenset()
    team_bots: frozenset[str] = frozenset()


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """The subject of an act, beyond its name. Each act reads only some of the fields.

    `on_bot`: it is about one bot; else about the workspace or its shared credit.
    `workspace_plan`: the plan in force.
    `names_plan`: a bot is created with a plan of its own.
    `named_is_self`: the person that a command names is the one who gives it.
    `named_role`: the role that the named person has in the workspace; None for a person who is no member.
    `given_role`: the role that the command gives.
    `owners`: how many owners the workspace has.
    """

    on_bot: bool = False
    workspace_plan: PlanName = "standard"
    names_plan: bool = False
    named_is_self: bool = False
    named_role: MemberRole | None = None
    given_role: MemberRole | None = None
    owners: int = 1


class Allowed(msgspec.Struct, frozen=True):
    """The act is permitted."""


_LEAVING: Final = ("billing.member.removed", "billing.bot.member_removed")
_NAMES_A_MEMBER: Final = ("billing.member.removed", "billing.bot.owner_changed", "billing.bot.member_added")
_HIGH_ROLES: Final = ("owner", "admin")

_ALL: Final[frozenset[Role]] = frozenset(ROLE_TITLES)
_ADMINISTRATORS: Final[frozenset[Role]] = frozenset({"owner", "admin", "platform_admin"})
_OWNERS: Final[frozenset[Role]] = frozenset({"owner", "platform_admin"})
_PLATFORM: Final[frozenset[Role]] = frozenset({"platform_admin"})


def roles_of(person: Person, bot_id: str | None = None) -> frozenset[Role]:
    """Return the roles that a person has for an act about `bot_id`, or about the workspace if it is None.

    About the workspace an owner of any of its bots is an app owner. A person who is no member has no role in the
    workspace, also if a bot still names them.
    """
    roles: set[Role] = {"platform_admin"} if person.is_platform_admin else set()
    if person.member_role is not None:
        roles.add(person.member_role)
        roles.discard("collaborator")
        if bot_id in person.owned_bots or (bot_id is None and person.owned_bots):
            roles.add("app_owner")
        if bot_id in person.team_bots or (bot_id is None and person.member_role == "collaborator"):
            roles.add("collaborator")
    return frozenset(roles)


def may(roles: frozenset[Role], act: Act, context: Context) -> Allowed | Refused:
    """Return whether a person with `roles` may do `act`, or why not.

    Codes: `not_allowed`, `last_owner`, `no_member`. A further role never takes a right away. Every member may leave.
    Raises KeyError for an act that the matrix lacks.
    """
    able = MATRIX[act].roles(on_bot=context.on_bot) & _high_enough(act, context)
    is_leaving = act in _LEAVING and context.named_is_self
    if not (roles & able or is_leaving):
        return _not_allowed(act, able, context)
    if _removes_last_owner(act, context):
        return Refused("last_owner", "user_id: is the last owner of the workspace; make another member an owner first")
    if act in _NAMES_A_MEMBER and context.named_role is None:
        return Refused("no_member", "user_id: is no member of the workspace; add the person to the workspace first")
    return Allowed()


def _high_enough(act: Act, context: Context) -> frozenset[Role]:
    """The roles that an act does not exceed in this context, whether the matrix lists them or not."""
    names_plan = act == "billing.bot.created" and context.names_plan
    if names_plan or act == "billing.plan.changed":
        return _ADMINISTRATORS if context.workspace_plan == "enterprise" else _PLATFORM
    concerns_high_role = context.named_role in _HIGH_ROLES or context.given_role in _HIGH_ROLES
    if act in ("billing.member.added", "billing.member.removed") and concerns_high_role:
        return _OWNERS
    return _ALL


def _removes_last_owner(act: Act, context: Context) -> bool:
    """Whether the act leaves the workspace without an owner: a removal, or another role for the last owner."""
    if context.named_role != "owner" or context.owners > 1:
        return False
    return act == "billing.member.removed" or (act == "billing.member.added" and context.given_role != "owner")


def _not_allowed(act: Act, able: frozenset[Role], context: Context) -> Refused:
    if not able:
        instead = "do it for the workspace" if context.on_bot else "name a bot"
        return Refused("not_allowed", f"by: no role may do {act} here; {instead}")
    *others, last = [title for role, title in ROLE_TITLES.items() if role in able]
    titles = f"{', '.join(others)} or {last}" if others else last
    return Refused("not_allowed", f"by: {act} needs {titles}; ask one of them to do it")
