"""Streams of entitlements to clients, as server-sent events: first what stands, then what changes."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from meter.gateway.metrics import SLOW_CLIENTS, STREAMS
from meter.gateway.problems import unavailable
from meter.kafka.entitlements import Entitlement

QUEUE_RECORDS: Final = 1_000
"""How many changes may wait for one client. One that reads more slowly is disconnected, and can resume."""

MAX_STREAMS: Final = 500
"""How many streams may be open at once."""

HEARTBEAT_S: Final = 15.0
"""How long a stream is silent at most: proxies end connections that say nothing."""

_HEARTBEAT: Final = b": heartbeat\n\n"
_RETRY: Final = b"retry: 2000\n\n"

logger = logging.getLogger(__name__)


class Subscription:
    """The changes of one workspace that wait for one client."""

    def __init__(self, workspace_id: str, most_records: int = QUEUE_RECORDS) -> None:
        self.workspace_id = workspace_id
        self.over = asyncio.Event()
        """Set when the stream must end: the client is too slow, or the gateway stops."""
        self.is_too_slow = False
        self._most_records = most_records
        self._changes: deque[Entitlement] = deque()
        self._more = asyncio.Event()

    def add(self, change: Entitlement) -> None:
        """Let a change wait for the client. One too many ends the stream."""
        if len(self._changes) >= self._most_records:
            self.is_too_slow = True
            self.over.set()
            return
        self._changes.append(change)
        self._more.set()

    async def next(self, heartbeat_s: float) -> list[Entitlement]:
        """Return the changes that wait, at least one; none after `heartbeat_s` without a change."""
        self._more.clear()
        if not self._changes:
            try:
                async with asyncio.timeout(heartbeat_s):
                    await self._more.wait()
            except TimeoutError:
                return []
        changes = list(self._changes)
        self._changes.clear()
        return changes


class Streams:
    """All open streams, by workspace."""

    def __init__(self, most: int = MAX_STREAMS, queue_records: int = QUEUE_RECORDS) -> None:
        self._most = most
        self._queue_records = queue_records
        self._open: dict[str, set[Subscription]] = {}
        self._count = 0
        self._is_closed = False

    def publish(self, change: Entitlement) -> None:
        """Give a change to the clients of its workspace. Called for each newer record, in the order of reading."""
        for subscription in self._open.get(change.workspace_id, ()):
            subscription.add(change)

    def subscribe(self, workspace_id: str) -> Subscription:
        """Open a subscription; `release` ends it. Raises ProblemError with 503 if there are too many."""
        if self._is_closed or self._count >= self._most:
            raise unavailable("busy", "the gateway has too many streams; try again")
        subscription = Subscription(workspace_id, self._queue_records)
        self._open.setdefault(workspace_id, set()).add(subscription)
        self._count += 1
        STREAMS.inc()
        return subscription

    def release(self, subscription: Subscription) -> None:
        """End a subscription."""
        subscriptions = self._open[subscription.workspace_id]
        subscriptions.remove(subscription)
        if not subscriptions:
            del self._open[subscription.workspace_id]
        self._count -= 1
        STREAMS.dec()

    def close(self) -> None:
        """End all streams, and open no more. Called when the gateway stops."""
        self._is_closed = True
        for subscriptions in self._open.values():
            for subscription in subscriptions:
                subscription.over.set()


class EventStream(Response):
    """The answer to a client of a stream: what stands, then changes and heartbeats, until one side ends it."""

    media_type = "text/event-stream"

    def __init__(
        self,
        streams: Streams,
        subscription: Subscription,
        standing: list[Entitlement],
        may_go_on: Callable[[], bool],
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        """`may_go_on` is asked after each change and each heartbeat: a key may be revoked while its stream is open."""
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._streams, self._subscription = streams, subscription
        self._standing, self._heartbeat_s = standing, heartbeat_s
        self._may_go_on = may_go_on

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the shape of ASGI
        """Send until the client leaves or is too slow. If the gateway or the key ends, the stream ends in order."""
        tasks = [
            asyncio.create_task(self._send_all(send)),
            asyncio.create_task(_until_gone(receive)),
            asyncio.create_task(self._subscription.over.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._streams.release(self._subscription)
        if self._subscription.is_too_slow:
            SLOW_CLIENTS.inc()
            logger.warning("a client of a stream reads too slowly and is disconnected")
        elif self._subscription.over.is_set():
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        for chunk in self._beginning():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        while True:
            changes = await self._subscription.next(self._heartbeat_s)
            if not self._may_go_on():
                self._subscription.over.set()
                return
            body = b"".join(map(event_of, changes)) or _HEARTBEAT
            await send({"type": "http.response.body", "body": body, "more_body": True})

    def _beginning(self) -> Iterator[bytes]:
        yield _RETRY
        for start in range(0, len(self._standing), 100):
            yield b"".join(map(event_of, self._standing[start : start + 100]))
        yield b'event: snapshot\ndata: {"bots":%d}\n\n' % len(self._standing)
        self._standing = []


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def event_of(change: Entitlement) -> bytes:
    """Return a record as a server-sent event. Its id is the version, from which a client resumes."""
    return b"id: %d\nevent: entitlement\ndata: %b\n\n" % (change.version, change.value.replace(b"\n", b" "))
