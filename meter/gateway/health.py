"""`/livez` and `/readyz`: whether the process answers, and whether it can do its work."""

from starlette.requests import Request
from starlette.responses import Response

from meter.gateway.parts import Parts, json_response, parts_of
from meter.gateway.problems import ProblemError


async def livez(request: Request) -> Response:  # noqa: ARG001 - the shape of a route
    """Answer 200 as long as the process answers. A restart mends it where it does not."""
    return json_response({"status": "ok"})


async def readyz(request: Request) -> Response:
    """Answer 200, or 503 with the reasons why requests should go elsewhere."""
    reasons = reasons_not_ready(parts_of(request))
    if reasons:
        raise ProblemError(503, "not_ready", "; ".join(reasons), members={"reasons": reasons})
    return json_response({"status": "ok"})


def reasons_not_ready(parts: Parts) -> list[str]:
    """Return why the gateway cannot do its work; none if it can."""
    parts.keys.ring()
    found = {
        "the gateway is stopping": parts.is_stopping,
        "Kafka has not answered for 15 s": not parts.writer.is_up(),
        "the entitlements are not read yet": not parts.is_caught_up.is_set(),
        parts.keys.fault: bool(parts.keys.fault),
    }
    return [reason for reason, holds in found.items() if holds]
