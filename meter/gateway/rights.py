"""The rights of an API key: which records it may write, and whose entitlements it may read.

Commands go by the matrix of roles that people have (`schemas/access.py`). What the matrix decides by facts that only
the wallet knows, the workspace's plan and its members, is decided here by the strictest of them.
"""

from collections.abc import Mapping
from typing import Final

from meter.gateway.keys import ApiKey, KeyRole
from meter.gateway.problems import ProblemError
from schemas.access import Context, may
from schemas.access_matrix import MATRIX, Act, Role
from schemas.commands import AnyCommand
from schemas.refusals import Refused

ROLES: Final[Mapping[KeyRole, frozenset[Role]]] = {
    "platform_admin": frozenset({"platform_admin"}),
    "owner": frozenset({"owner"}),
    "admin": frozenset({"admin"}),
    "runtime": frozenset(),
}
"""The roles of the matrix that a key has. A bot runtime has none: it is no person."""

_WRITES_EVENTS: Final = ("platform_admin", "runtime")

_STRICTEST: Final = {"named_role": "owner", "owners": 2}
"""A person that a command names may be an owner, and need not be the last one. The wallet knows who it is."""


def event_refusal(key: ApiKey, workspace_id: str) -> ProblemError | None:
    """Return why a key may not write an event of a workspace; None if it may."""
    if key.role not in _WRITES_EVENTS:
        return forbidden("not_allowed", "events need the key of a bot runtime or of a platform administrator")
    return other_workspace(key, workspace_id, "data.workspace_id")


def command_refusal(key: ApiKey, command: AnyCommand) -> ProblemError | None:
    """Return why a key may not give a command; None if it may."""
    refused = other_workspace(key, command.data.workspace_id, "data.workspace_id")
    if refused is not None:
        return refused
    act = str(command.__struct_config__.tag)
    context = Context(
        on_bot=_is_on_bot(act, command),
        names_plan=getattr(command.data, "plan", None) is not None,
        given_role=getattr(command.data, "role", None),
        **_STRICTEST,  # type: ignore[arg-type] # The values have the types of their fields.
    )
    found = may(ROLES[key.role], act, context)
    return forbidden(found.code, found.reason.removeprefix("by: ")) if isinstance(found, Refused) else None


def read_refusal(key: ApiKey, workspace_id: str, act: Act, *, on_bot: bool) -> ProblemError | None:
    """Return why a key may not read what `act` names of a workspace; None if it may. A runtime reads entitlements."""
    refused = other_workspace(key, workspace_id, "workspace_id")
    if refused is not None or (key.role == "runtime" and act == "view.entitlement"):
        return refused
    found = may(ROLES[key.role], act, Context(on_bot=on_bot))
    return forbidden(found.code, found.reason.removeprefix("by: ")) if isinstance(found, Refused) else None


def _is_on_bot(act: Act, command: AnyCommand) -> bool:
    """Whether the matrix has a form of the command for one bot, and the command names one."""
    return bool(MATRIX[act].bot) and getattr(command.data, "bot_id", None) is not None


def other_workspace(key: ApiKey, workspace_id: str, field: str) -> ProblemError | None:
    """Return the refusal of a workspace that is not the key's own; None if the key is for it, or for all."""
    if key.role == "platform_admin" or workspace_id == key.workspace_id:
        return None
    return forbidden("other_workspace", f"{field}: the key is for another workspace", field)


def forbidden(code: str, detail: str, field: str = "") -> ProblemError:
    """Return the refusal of what a key may not do."""
    return ProblemError(403, code, detail, field=field)
