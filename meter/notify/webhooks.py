"""Notices as webhooks, signed as Standard Webhooks says, to one endpoint."""

import asyncio
import re
import ssl
from datetime import UTC, datetime
from typing import Final

import aiohttp
from standardwebhooks import Webhook

from meter.notify.endpoints import Endpoint
from meter.notify.outlets import Bound, PermanentError, TemporaryError
from schemas.deliveries import Channel
from schemas.notices import Notice, encode_notice, typed_fields
from schemas.topics import NOTIFY_GROUPS

CONNECT_S: Final = 5.0
ANSWER_S: Final = 15.0
"""How long an endpoint may take until it has answered, with the connection: Standard Webhooks advises 15 to 30 s."""

_SENDABLE: Final = re.compile(r"[!-~]{1,512}")
"""An id that can stand in a header."""

_GONE: Final = 410


class WebhookOutlet:
    """Webhooks to one endpoint. The id of a webhook is the notice's, so a receiver recognises one that comes twice."""

    channel: Channel = "webhook"
    slots = 4
    bound: Bound = "written"
    judges_age = True

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.endpoint = endpoint.name
        self.group = f"{NOTIFY_GROUPS}webhook-{endpoint.name}"
        self._webhook = Webhook(endpoint.secret)
        self._session: aiohttp.ClientSession | None = None

    def recipients(self, notice: Notice) -> list[str]:
        """Return the endpoint's name if it gets the notice."""
        return [self.endpoint] if self._endpoint.wants(notice) else []

    async def send(self, notice: Notice, recipient: str) -> None:
        """Post the notice. Any answer from 200 to 299 takes it; the answer's body is not read. See `Outlet.send`."""
        assert recipient == self.endpoint
        typed_fields(notice)
        if not _SENDABLE.fullmatch(notice.notice_id):
            raise PermanentError("notice_id has characters that cannot stand in the header webhook-id")
        body = encode_notice(notice)
        try:
            status = await self._post(body, self._headers(notice.notice_id, body))
        except (aiohttp.ClientError, ssl.SSLError, OSError, TimeoutError, ValueError) as error:
            raise TemporaryError(f"the endpoint gave no answer: {_cause(error)}") from error
        if status == _GONE:
            raise PermanentError("the endpoint answered 410: it wants no webhooks any more")
        if not 200 <= status < 300:
            more = ", which is a redirect, and none is followed" if 300 <= status < 400 else ""
            raise TemporaryError(f"the endpoint answered {status}{more}")

    def _headers(self, notice_id: str, body: bytes) -> dict[str, str]:
        """The headers. Each attempt is signed again, because a receiver refuses a signature that is minutes old."""
        now = datetime.now(UTC)
        return {
            "content-type": "application/json",
            "user-agent": "conversation-meter",
            "webhook-id": notice_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(notice_id, now, body.decode()),
        }

    async def _post(self, body: bytes, headers: dict[str, str]) -> int:
        """Return the status of the answer. The connection is closed with what is left of the answer unread."""
        async with asyncio.timeout(ANSWER_S):
            response = await self._connected().post(
                self._endpoint.url, data=body, headers=headers, allow_redirects=False
            )
            response.close()
            return response.status

    def _connected(self) -> aiohttp.ClientSession:
        """The session. No cookies, no proxies of the environment, no connection that is used twice."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self.slots, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=ANSWER_S, sock_connect=CONNECT_S),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()


def _cause(error: Exception) -> str:
    """The error in words, without the URL, which may hold a token."""
    if isinstance(error, TimeoutError):
        return f"not within {ANSWER_S:g} s"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection ({error.os_error.strerror or type(error.os_error).__name__})"
    return type(error).__name__
