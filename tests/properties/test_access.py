"""Rights only grow with roles, and a workspace keeps an owner through any changes of its members."""

from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from meter.core.wallet.commands.roles import BotTeam, Workforce, change_owner, remove_member, set_role
from schemas.access import Allowed, Context, may
from schemas.access_matrix import MATRIX, MemberRole, Role
from schemas.refusals import Refused

PEOPLE = ("a", "b", "c", "d")
BOTS = ("x", "y")
role_sets = st.frozensets(st.sampled_from(get_args(Role)))
member_roles = st.sampled_from(get_args(MemberRole))
contexts = st.builds(
    Context,
    on_bot=st.booleans(),
    workspace_plan=st.sampled_from(("standard", "enterprise")),
    names_plan=st.booleans(),
    named_is_self=st.booleans(),
    named_role=st.none() | member_roles,
    given_role=st.none() | member_roles,
    owners=st.integers(1, 3),
)
steps = st.lists(
    st.tuples(st.just("role"), st.sampled_from(PEOPLE), member_roles)
    | st.tuples(st.just("leave"), st.sampled_from(PEOPLE), st.none())
    | st.tuples(st.just("owner"), st.sampled_from(PEOPLE), st.sampled_from(BOTS)),
    max_size=20,
)


@given(role_sets, role_sets, st.sampled_from(sorted(MATRIX)), contexts)
def test_a_further_role_never_takes_a_right(roles: Any, more: Any, act: str, context: Context) -> None:
    """The question is answered for every act, role set and context."""
    if may(roles, act, context) == Allowed():
        assert may(roles | more, act, context) == Allowed()


@given(steps)
def test_a_workspace_keeps_an_owner_and_every_bot_has_a_member_as_owner(moves: list[tuple[str, str, Any]]) -> None:
    """Through any roles, departures and changes of owner; a step that is refused changes nothing."""
    now = Workforce(members={"a": "owner"}, teams={bot: BotTeam(owner="a") for bot in BOTS})
    for kind, person, value in moves:
        after: Workforce | Refused
        if kind == "role":
            after = set_role(now, person, value)
        elif kind == "leave":
            after = remove_member(now, person)
        else:
            team = change_owner(now.teams[value], person, now.members)
            after = (
                team if isinstance(team, Refused) else Workforce(members=now.members, teams={**now.teams, value: team})
            )
        if isinstance(after, Refused):
            assert after.reason
            continue
        now = after
        assert now.owners
        for team in now.teams.values():
            assert {team.owner, *team.collaborators} <= set(now.members)
            assert team.owner not in team.collaborators
