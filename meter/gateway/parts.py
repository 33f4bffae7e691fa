"""The parts of a running gateway, and what each request goes through first: its key, its rate, its rights."""

import asyncio
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from meter.gateway.bodies import BODY_S
from meter.gateway.key_file import WatchedKeys
from meter.gateway.keys import ApiKey
from meter.gateway.limits import HeldBytes, Rates
from meter.gateway.metrics import LIMITED, UNAUTHENTICATED
from meter.gateway.outcomes import Outcomes
from meter.gateway.ports import Writer
from meter.gateway.problems import ProblemError, unavailable
from meter.gateway.streams import HEARTBEAT_S, Streams
from meter.kafka.entitlements import Entitlements

_SCHEME: Final = "bearer "


class Parts(msgspec.Struct, kw_only=True):
    """All that the routes use. Tests put fakes in."""

    keys: WatchedKeys
    writer: Writer
    rates: Rates
    held: HeldBytes
    outcomes: Outcomes
    entitlements: Entitlements
    streams: Streams
    is_caught_up: asyncio.Event
    """Set when the entitlements have been read to an end that the topic had."""
    is_stopping: bool = False
    body_s: float = BODY_S
    heartbeat_s: float = HEARTBEAT_S


def parts_of(request: Request) -> Parts:
    """Return the parts of the gateway that handles a request."""
    parts: Parts = request.app.state.parts
    return parts


def key_of(request: Request) -> ApiKey:
    """Return the key of a request, and take a token of its rate.

    Raises ProblemError: 401 without a key that is known, 429 beyond the rate, 503 while the keys cannot be read. No
    message repeats the key.
    """
    parts = parts_of(request)
    given = request.headers.get("authorization", "")
    ring = parts.keys.ring()
    if not parts.keys.is_readable:
        raise unavailable("keys_unreadable", "the gateway cannot read its API keys")
    key = ring.find(given[len(_SCHEME) :].strip()) if given[: len(_SCHEME)].lower() == _SCHEME else None
    if key is None:
        UNAUTHENTICATED.inc()
        challenge = 'Bearer realm="meter"' + (', error="invalid_token"' if given else "")
        detail = "the API key is not known, or has expired" if given else "send `Authorization: Bearer KEY`"
        raise ProblemError(401, "unauthenticated", detail, headers={"WWW-Authenticate": challenge})
    try:
        parts.rates.spend(key.key_id)
    except ProblemError:
        LIMITED.inc()
        raise
    return key


def json_response(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return an answer in JSON."""
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")
