"""The ASGI application: routes, and what goes around each of them."""

import logging
import time
from typing import Final

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meter.gateway.command_routes import get_command, post_commands
from meter.gateway.entitlement_routes import get_entitlement, stream_entitlements
from meter.gateway.event_routes import post_events
from meter.gateway.health import livez, readyz
from meter.gateway.metrics import REQUESTS, SECONDS, status_class
from meter.gateway.openapi import DOCUMENT
from meter.gateway.parts import Parts
from meter.gateway.problems import ProblemError

SECURITY_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""On each answer. There is no header for other origins: a browser lets no other site read an answer."""

logger = logging.getLogger(__name__)


def make_app(parts: Parts) -> ASGIApp:
    """Return the application on the given parts. It starts nothing and stops nothing."""
    app = Starlette(
        routes=[
            Route("/v1/events", post_events, methods=["POST"], name="events"),
            Route("/v1/commands", post_commands, methods=["POST"], name="commands"),
            Route("/v1/commands/{id:path}", get_command, methods=["GET"], name="command"),
            Route("/v1/entitlements/stream", stream_entitlements, methods=["GET"], name="stream"),
            Route("/v1/entitlements/{ids:path}", get_entitlement, methods=["GET"], name="entitlement"),
            Route("/openapi.json", _openapi, methods=["GET"], name="openapi"),
            Route("/livez", livez, methods=["GET"], name="livez"),
            Route("/readyz", readyz, methods=["GET"], name="readyz"),
        ],
        exception_handlers={ProblemError: _problem, HTTPException: _http, ClientDisconnect: _gone, Exception: _failed},
    )
    app.router.redirect_slashes = False
    app.state.parts = parts
    return Surroundings(app)


async def _openapi(request: Request) -> Response:  # noqa: ARG001 - the shape of a route
    return Response(DOCUMENT, media_type="application/json")


async def _problem(request: Request, error: Exception) -> Response:  # noqa: ARG001 - the shape of a handler
    assert isinstance(error, ProblemError)
    return error.response()


async def _http(request: Request, error: Exception) -> Response:
    """Turn an error of the framework, an unknown address or method, into a problem document."""
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused")
    detail = f"there is no {request.method} for this address; see /openapi.json"
    return ProblemError(error.status_code, code, detail, headers=dict(error.headers or {})).response()


async def _gone(request: Request, error: Exception) -> Response:  # noqa: ARG001 - the shape of a handler
    """Answer a client that has left before the end of its body; it does not read the answer."""
    return ProblemError(400, "disconnected", "the client left before the end of its body").response()


async def _failed(request: Request, error: Exception) -> Response:  # noqa: ARG001 - the shape of a handler
    """Answer a bug. The log has its traceback, which holds no header of the request."""
    return ProblemError(500, "internal", "the gateway failed; its log says more").response()


class Surroundings:
    """Adds the security headers to each answer, and counts requests by route and status."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began_s = time.perf_counter()

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
                route = getattr(scope.get("route"), "name", "other")
                REQUESTS.labels(route, status_class(message["status"])).inc()
                SECONDS.labels(route).observe(time.perf_counter() - began_s)
            await send(message)

        await self.app(scope, receive, answer)
