"""Teams of bots and members of a workspace: change of owner in all its ways, leaving. Each row names its points."""

from typing import Any

import pytest

from meter.core.wallet.commands.roles import BotTeam, Workforce, change_owner, remove_member, set_role
from schemas.access import Allowed, Context, Person, may, roles_of
from schemas.refusals import Refused

MEMBERS: dict[str, Any] = {"olga": "owner", "ada": "admin", "ben": "collaborator", "cem": "collaborator"}
TEAM = BotTeam(owner="ben", collaborators=frozenset({"cem"}))

WAYS = [
    # the way, where it begins, what it opens, who goes it
    ("N1 N7: Team, Change Owner", "open.team", True, "olga"),
    ("N8: Team, Promote as Owner", "open.team", True, "ben"),
    ("N9: Plan & Usage, Change Bot Owner", "open.billing", False, "ada"),
    ("N2: the Admin Console, by the master admin", "open.admin_console", False, "vera"),
]


@pytest.mark.parametrize(("way", "opens", "on_bot", "who"), WAYS, ids=[each[0] for each in WAYS])
def test_an_owner_is_changed_in_each_way(way: str, opens: str, on_bot: bool, who: str) -> None:
    """N1 N2 N3 N4 N5 N10 X26: each way opens a part of the console, gives one command, and moves all rights."""
    assert way
    roles = roles_of(person(who, TEAM), "bot")
    about_workspace = roles_of(person(who, TEAM))
    assert may(roles if on_bot else about_workspace, opens, Context(on_bot=on_bot)) == Allowed()
    about = Context(on_bot=True, named_role="collaborator")
    assert may(roles, "billing.bot.owner_changed", about) == Allowed()
    after = change_owner(TEAM, "cem", MEMBERS)
    assert isinstance(after, BotTeam)
    assert rights(person("ben", TEAM)) == rights(person("cem", after)) == {"plan", "settings", "tasks"}
    assert rights(person("cem", TEAM)) == rights(person("ben", after)) == {"tasks"}


CHANGES = [
    # points and law, new owner, role of the former, owner after, collaborators after
    ("N7 X26: the former collaborates", "cem", "collaborator", "cem", {"ben"}),
    ("N7: or leaves the team", "cem", "none", "cem", set()),
    ("N3: to a member outside the team", "ada", "collaborator", "ada", {"ben", "cem"}),
    ("N3: to the owner of the workspace", "olga", "none", "olga", {"cem"}),
    ("the owner that it has already", "ben", "none", "ben", {"cem"}),
]


@pytest.mark.parametrize(("points", "owner", "former", "then", "team"), CHANGES, ids=[each[0] for each in CHANGES])
def test_the_team_after_a_change(points: str, owner: str, former: Any, then: str, team: set[str]) -> None:
    """The owner is never among the collaborators."""
    assert points
    assert change_owner(TEAM, owner, MEMBERS, former) == BotTeam(owner=then, collaborators=frozenset(team))


def test_by_default_the_former_owner_collaborates() -> None:
    """X26: the role of the former owner may be left out."""
    assert change_owner(TEAM, "cem", MEMBERS) == BotTeam(owner="cem", collaborators=frozenset({"ben"}))


def test_a_former_owner_who_left_the_workspace_does_not_come_back() -> None:
    """A team has members of the workspace only."""
    left = BotTeam(owner="zoe", collaborators=frozenset())
    assert change_owner(left, "cem", MEMBERS) == BotTeam(owner="cem")


def test_an_owner_must_be_a_member() -> None:
    """N3: any user of the workspace, and no other."""
    found = change_owner(TEAM, "zoe", MEMBERS)
    assert isinstance(found, Refused)
    assert (found.code, found.reason) == (
        "no_member",
        "owner: zoe is no member of the workspace; add the person to it first",
    )


def workforce(members: dict[str, Any] | None = None) -> Workforce:
    """Two bots: one of `ben`, one of `olga` with `ben` on its team."""
    teams = {"help": TEAM, "shop": BotTeam(owner="olga", collaborators=frozenset({"ben"}))}
    return Workforce(members=members or MEMBERS, teams=teams)


def test_a_member_who_leaves_is_on_no_team() -> None:
    """O5: the bots pass to the owner of the workspace who was added first, so that each has an owner."""
    found = remove_member(workforce({**MEMBERS, "pia": "owner"}), "ben")
    assert isinstance(found, Workforce)
    assert list(found.members) == ["olga", "ada", "cem", "pia"]
    assert found.teams == {
        "help": BotTeam(owner="olga", collaborators=frozenset({"cem"})),
        "shop": BotTeam(owner="olga"),
    }


def test_an_owner_who_leaves_hands_the_bots_on() -> None:
    """To the owner who is left; who collaborated on a bot of theirs does not collaborate on it as its owner."""
    before = Workforce(
        members={**MEMBERS, "pia": "owner"},
        teams={"shop": BotTeam(owner="olga", collaborators=frozenset({"pia", "ben"}))},
    )
    found = remove_member(before, "olga")
    assert isinstance(found, Workforce)
    assert found.teams == {"shop": BotTeam(owner="pia", collaborators=frozenset({"ben"}))}
    assert found.owners == ["pia"]


@pytest.mark.parametrize(
    ("law", "act", "code"),
    [
        ("the last owner cannot leave", lambda: remove_member(workforce(), "olga"), "last_owner"),
        ("nor become an admin", lambda: set_role(workforce(), "olga", "admin"), "last_owner"),
        ("one who is no member cannot leave", lambda: remove_member(workforce(), "zoe"), "no_member"),
    ],
)
def test_what_is_refused(law: str, act: Any, code: str) -> None:
    """O5."""
    assert law
    found = act()
    assert isinstance(found, Refused)
    assert found.code == code


def test_a_role_is_given_and_changed() -> None:
    """N11, O5: a bot's new owner can be made an admin, who then opens Plan & Usage; a second owner frees the first."""
    admin = set_role(workforce(), "cem", "admin")
    assert isinstance(admin, Workforce)
    assert may(roles_of(Person(member_role=admin.members["cem"])), "open.billing", Context()) == Allowed()
    two = set_role(workforce(), "ada", "owner")
    assert isinstance(two, Workforce)
    assert two.owners == ["olga", "ada"]
    assert isinstance(set_role(two, "olga", "shared"), Workforce)
    assert isinstance(set_role(workforce(), "olga", "owner"), Workforce)


def test_a_workspace_without_an_owner_hands_on_to_none() -> None:
    """One that its first event created has no owner yet."""
    found = remove_member(Workforce(members={"ben": "collaborator"}, teams={"help": TEAM}), "ben")
    assert isinstance(found, Workforce)
    assert found.teams["help"].owner == ""


def person(user_id: str, team: BotTeam) -> Person:
    """A person as the workspace knows them; `vera` is the vendor's."""
    return Person(
        member_role=MEMBERS.get(user_id),
        is_platform_admin=user_id == "vera",
        owned_bots=frozenset({"bot"}) if team.owner == user_id else frozenset(),
        team_bots=frozenset({"bot"}) if user_id in team.collaborators else frozenset(),
    )


def rights(of: Person) -> set[str]:
    """Some of what the owner of a bot may do with it."""
    acts = {"plan": "billing.order.placed", "settings": "edit.bot_settings", "tasks": "edit.bot_tasks"}
    return {name for name, act in acts.items() if may(roles_of(of, "bot"), act, Context(on_bot=True)) == Allowed()}
