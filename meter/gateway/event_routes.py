"""`POST /v1/events`: chat events to the topic chat-events."""

from starlette.requests import Request
from starlette.responses import Response

from meter.gateway.bodies import read_body
from meter.gateway.intake import OUTSIDE_EVENTS, note, require_some, sort_out, summary, write_all
from meter.gateway.parts import json_response, key_of, parts_of
from meter.gateway.rights import event_refusal
from schemas.topics import CHAT_EVENTS


async def post_events(request: Request) -> Response:
    """Write chat events, and answer 202 when the broker has acknowledged them.

    Of a batch the events that can be read and belong to the key are written, and each other one is listed. An event
    that is written may still be refused by its time; that shows in dead letters.
    """
    parts, key = parts_of(request), key_of(request)
    with parts.held.holding() as hold:
        body = await read_body(request, hold, parts.body_s)
        found = sort_out(body, OUTSIDE_EVENTS, lambda event: event_refusal(key, event.data.workspace_id))
        note("event", found)
        require_some(found, is_batch=body.is_batch)
        await write_all(parts.writer, CHAT_EVENTS, "event", found.accepted)
    return json_response(summary(found), 202)
