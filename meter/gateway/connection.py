"""A connection of the server that a client cannot hold open without making a request."""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_S: Final = 10.0
"""How long a client may take from the beginning of a request, or of the connection, to the end of the headers."""

MAX_HEADER_BYTES: Final = 16 * 1024
"""The most bytes of a request's first line and headers."""


class BoundedProtocol(H11Protocol):
    """uvicorn's HTTP protocol, with a limit of time for headers: uvicorn alone waits for them for ever."""

    headers_s = HEADERS_S

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.headers_s, self._close_if_idle)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the client. Each further request has its own time, which begins with its first byte."""
        super().data_received(data)
        if self._is_in_request():
            self._forget_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.headers_s, self._close_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the time limit."""
        self._forget_deadline()
        super().connection_lost(exc)

    def _is_in_request(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close_if_idle(self) -> None:
        self._deadline = None
        if not self._is_in_request():
            self.transport.close()
