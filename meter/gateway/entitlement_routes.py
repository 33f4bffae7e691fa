"""`GET /v1/entitlements/...`: what a bot may do now, and a stream of the changes of a workspace."""

from functools import partial
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from meter.gateway.keys import ApiKey
from meter.gateway.parts import Parts, key_of, parts_of
from meter.gateway.problems import ProblemError, unavailable
from meter.gateway.rights import read_refusal
from meter.gateway.streams import EventStream

_PREFIX = "/v1/entitlements/"


async def get_entitlement(request: Request) -> Response:
    """Return the newest record of a bot. `ETag` is its version: a client that has it gets 304."""
    parts, key = parts_of(request), key_of(request)
    workspace_id, bot_id = _ids(request)
    refused = read_refusal(key, workspace_id, "view.entitlement", on_bot=True)
    if refused is not None:
        raise refused
    _require_caught_up(parts)
    found = parts.entitlements.of_bot(workspace_id, bot_id)
    if found is None:
        raise ProblemError(
            404, "no_entitlement", "no answer for this bot is known: it has no event yet and no command names it"
        )
    etag = f'"{found.version}"'
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"ETag": etag})
    return Response(found.value, headers={"ETag": etag}, media_type="application/json")


def _ids(request: Request) -> tuple[str, str]:
    """The ids of workspace and bot. They are cut before they are decoded: an id may hold a slash."""
    raw: bytes = request.scope["raw_path"]
    ids = raw.decode("ascii", "replace").partition("?")[0].removeprefix(_PREFIX).split("/")
    if len(ids) != 2 or not all(ids):
        raise ProblemError(404, "not_found", "the address is /v1/entitlements/WORKSPACE_ID/BOT_ID, with ids quoted")
    workspace_id, bot_id = map(unquote, ids)
    return workspace_id, bot_id


async def stream_entitlements(request: Request) -> Response:
    """Stream the records of a workspace: first what stands, then what changes.

    With `Last-Event-ID` only records of that version or later are sent first. The one of that version comes again:
    another bot may have the same.
    """
    parts, key = parts_of(request), key_of(request)
    workspace_id = request.query_params.get("workspace_id", key.workspace_id)
    if not workspace_id:
        raise ProblemError(400, "missing_field", "workspace_id: add ?workspace_id=...", field="workspace_id")
    refused = read_refusal(key, workspace_id, "view.entitlement", on_bot=False)
    if refused is not None:
        raise refused
    from_version = _last_event_id(request)
    _require_caught_up(parts)
    if request.method == "HEAD":
        return Response(media_type=EventStream.media_type)
    # No await between the two: a change belongs to what stands, or comes after it.
    subscription = parts.streams.subscribe(workspace_id)
    standing = [each for each in parts.entitlements.of_workspace(workspace_id) if each.version >= from_version]
    may_go_on = partial(_is_valid, parts, key)
    return EventStream(parts.streams, subscription, standing, may_go_on, parts.heartbeat_s)


def _is_valid(parts: Parts, key: ApiKey) -> bool:
    return parts.keys.ring().is_valid(key)


def _last_event_id(request: Request) -> int:
    given = request.headers.get("last-event-id", "")
    if not given:
        return 0
    if not (given.isascii() and given.isdecimal() and len(given) < 20):
        raise ProblemError(400, "invalid_field", "last-event-id: is no id of this stream", field="last-event-id")
    return int(given)


def _require_caught_up(parts: Parts) -> None:
    if not parts.is_caught_up.is_set():
        raise unavailable("not_ready", "the entitlements are not read yet; try again")
