"""Errors of the gateway as problem documents (RFC 9457), each with a code, and the field that is wrong if one is."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from starlette.responses import Response

from meter.core.rejection import Rejected
from schemas.refusals import Refused

MEDIA_TYPE: Final = "application/problem+json"

RETRY_AFTER_S: Final = 5
"""What a client is told to wait for a service that is away."""

_STATUS: Final[Mapping[str, int]] = {
    "invalid_utf8": 400,
    "not_json": 400,
    "too_large": 413,
    "conflict": 409,
    "not_allowed": 403,
    "other_workspace": 403,
}
"""The status of a refusal by its code; 422 for all others."""


class ProblemError(Exception):
    """An answer other than success. `members` are further members of the document."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        field: str = "",
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.field = status, code, detail, field
        self.headers = dict(headers or {})
        self.members = dict(members or {})

    def response(self) -> Response:
        """Return the problem document."""
        document: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.field:
            document["field"] = self.field
        content = msgspec.json.encode(document | self.members)
        return Response(content, self.status, self.headers, media_type=MEDIA_TYPE)


def refusal(refused: Rejected | Refused, members: Mapping[str, Any] | None = None) -> ProblemError:
    """Return the problem of an event or a command that is refused."""
    field, reason = parts(refused.reason)
    return ProblemError(_STATUS.get(refused.code, 422), refused.code, reason, field=field, members=members)


def parts(reason: str) -> tuple[str, str]:
    """Return the field that a reason names, "" for the whole value, and the reason itself."""
    field, colon, _ = reason.partition(": ")
    return (field if colon and field != "value" and " " not in field else ""), reason


def unavailable(code: str, detail: str) -> ProblemError:
    """Return the problem of a service that is away for now; the client may try again."""
    return ProblemError(503, code, detail, headers={"Retry-After": str(RETRY_AFTER_S)})
