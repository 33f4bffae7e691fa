"""Members of a workspace and teams of bots: changing an owner, leaving (docs/adr/0033).

The functions say what a command does. Whether its giver may give it is decided before, by `schemas.access.may`.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from schemas.access_matrix import MemberRole
from schemas.refusals import Refused

FormerOwnerRole = Literal["collaborator", "none"]
"""What a former owner becomes: a collaborator of the bot, or not on its team any more."""


class BotTeam(msgspec.Struct, frozen=True, kw_only=True):
    """The people of one bot, by user id. The owner is not among the collaborators."""

    owner: str
    collaborators: frozenset[str] = frozenset()


class Workforce(msgspec.Struct, frozen=True, kw_only=True):
    """The members of a workspace with their roles, in the order in which they were added, and the teams of its bots."""

    members: Mapping[str, MemberRole]
    teams: Mapping[str, BotTeam]

    @property
    def owners(self) -> list[str]:
        """The owners of the workspace, the one who was added first in front."""
        return [user_id for user_id, role in self.members.items() if role == "owner"]


def change_owner(
    team: BotTeam, owner: str, members: Mapping[str, MemberRole], former_role: FormerOwnerRole = "collaborator"
) -> BotTeam | Refused:
    """Return the team with `owner` as its owner: any member of the workspace, on the team or not.

    All rights of the bot's owner follow from the team, so they move with it. With the owner that the team has already
    nothing changes. Refused as `no_member`.
    """
    if owner not in members:
        return Refused("no_member", f"owner: {owner} is no member of the workspace; add the person to it first")
    if owner == team.owner:
        return team
    stays = {team.owner} if former_role == "collaborator" and team.owner in members else set()
    return BotTeam(owner=owner, collaborators=(team.collaborators | stays) - {owner})


def set_role(workforce: Workforce, user_id: str, role: MemberRole) -> Workforce | Refused:
    """Add a member, or give one another role. The last owner cannot get another role (`last_owner`)."""
    if role != "owner" and workforce.owners == [user_id]:
        return _last_owner(user_id)
    return msgspec.structs.replace(workforce, members={**workforce.members, user_id: role})


def remove_member(workforce: Workforce, user_id: str) -> Workforce | Refused:
    """Remove a person from the workspace and from all teams.

    Bots that the person owns pass to the owner of the workspace who was added first, so that every bot has an owner who
    gets its notices; without such an owner they have none. Refused as `last_owner` for the last owner, and as
    `no_member`.
    """
    if user_id not in workforce.members:
        return Refused("no_member", f"user_id: {user_id} is no member of the workspace; look for the id in its members")
    if workforce.owners == [user_id]:
        return _last_owner(user_id)
    heir = next((each for each in workforce.owners if each != user_id), "")
    members = {each: role for each, role in workforce.members.items() if each != user_id}
    teams = {bot_id: _without(team, user_id, heir) for bot_id, team in workforce.teams.items()}
    return Workforce(members=members, teams=teams)


def _without(team: BotTeam, user_id: str, heir: str) -> BotTeam:
    owner = heir if team.owner == user_id else team.owner
    return BotTeam(owner=owner, collaborators=team.collaborators - {user_id, owner})


def _last_owner(user_id: str) -> Refused:
    return Refused("last_owner", f"user_id: {user_id} is the last owner; make another member an owner first")
