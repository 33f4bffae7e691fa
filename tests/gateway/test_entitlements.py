"""Entitlements over HTTP: one bot, and a stream that begins with what stands, resumes, and drops slow clients."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from meter.gateway.key_file import changing_keys
from meter.gateway.metrics import SLOW_CLIENTS, STREAMS
from meter.gateway.streams import Streams
from tests.gateway.fakes import World

LIMIT_S = 30
"""A bound for what never comes. No test decides by it how fast something is."""


@pytest.mark.parametrize(
    ("role", "workspace_id", "path", "status"),
    [
        ("runtime", "w", "w/b", 200),
        ("owner", "w", "w/b", 200),
        ("admin", "w", "w/b", 200),
        ("platform_admin", "", "w/b", 200),
        ("runtime", "x", "w/b", 403),
        ("owner", "x", "w/b", 403),
        ("runtime", "w", "w/nothing", 404),
        ("runtime", "w", "w/b/c", 404),
        ("runtime", "w", "w/", 404),
        ("runtime", "w", "w", 404),
        ("runtime", "w/ä", "w%2F%C3%A4/b%3F", 200),
    ],
)
async def test_one_bot(role: Any, workspace_id: str, path: str, status: int, tmp_path: Path) -> None:
    world = World(tmp_path)
    values = {"w/b": world.entitled("b", 7), "w%2F%C3%A4/b%3F": world.entitled("b?", 7, "w/ä")}
    answer = await world.ask("GET", f"/v1/entitlements/{path}", world.key(role, workspace_id))
    assert answer.status_code == status, answer.text
    if status == 200:
        assert (answer.content, answer.headers["etag"]) == (values[path], '"7"')


async def test_a_client_that_has_the_newest_record_gets_no_body(tmp_path: Path) -> None:
    world = World(tmp_path)
    token = world.key()
    world.entitled("b", 7)
    found = [await world.ask("GET", "/v1/entitlements/w/b", token, if_none_match=f'"{each}"') for each in (6, 7)]
    assert [(answer.status_code, bool(answer.content)) for answer in found] == [(200, True), (304, False)]


@pytest.mark.parametrize("path", ["w/b", "stream?workspace_id=w"])
async def test_before_the_topic_is_read_there_is_no_answer(path: str, tmp_path: Path) -> None:
    """An answer without the newest records would suspend a bot that has credit."""
    world = World(tmp_path)
    world.parts.is_caught_up.clear()
    answer = await world.ask("GET", f"/v1/entitlements/{path}", world.key())
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")


class Client:
    """A client of a stream, as an ASGI server hands its bytes over. It reads only while `reads` is set."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.reads = asyncio.Event()
        self.reads.set()
        self.left = asyncio.Event()
        self.is_complete = False
        self.over = asyncio.Event()
        """Set when the application has ended."""
        self.unread = b""
        self._more = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.reads.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        self.unread += message.get("body", b"")
        self.is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)
        self._more.set()

    async def event(self) -> tuple[str, str, Any]:
        """The next event: id, name, data. A comment has the name `comment`."""
        async with asyncio.timeout(LIMIT_S):
            while b"\n\n" not in self.unread:
                self._more.clear()
                await self._more.wait()
        text, _, self.unread = self.unread.partition(b"\n\n")
        if text.startswith(b":"):
            return "", "comment", None
        fields = dict(line.split(": ", 1) for line in text.decode().split("\n"))
        return fields.get("id", ""), fields.get("event", "retry"), json.loads(fields.get("data", "null"))

    async def bots(self, count: int) -> list[tuple[str, str]]:
        """The next events of bots: (version, bot)."""
        found: list[tuple[str, str]] = []
        while len(found) < count:
            version, name, data = await self.event()
            if name == "entitlement":
                found.append((version, data["bot_id"]))
        return found


@asynccontextmanager
async def streaming(world: World, token: str, query: str = "?workspace_id=w", **headers: str) -> AsyncIterator[Client]:
    """A client of the stream; afterwards the stream is over, and nothing of it is left."""
    client = Client()
    given = {"authorization": f"Bearer {token}"} | {name.replace("_", "-"): each for name, each in headers.items()}
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/v1/entitlements/stream",
        "raw_path": b"/v1/entitlements/stream",
        "query_string": query[1:].encode(),
        "headers": [(name.encode(), each.encode()) for name, each in given.items()],
    }
    task: asyncio.Future[None] = asyncio.ensure_future(world.app(scope, client.receive, client.send))
    task.add_done_callback(lambda _: client.over.set())
    try:
        yield client
    finally:
        client.left.set()
        client.reads.set()
        async with asyncio.timeout(LIMIT_S):
            await task
    assert world.parts.streams._open == {}


async def test_a_stream_begins_with_what_stands_and_goes_on_with_changes(tmp_path: Path) -> None:
    """In the order of versions; of this workspace only; an older record changes nothing."""
    world = World(tmp_path)
    for bot_id, version in (("b", 9), ("a", 7), ("b", 8)):
        world.entitled(bot_id, version)
    world.entitled("z", 99, "other")
    async with streaming(world, world.key("runtime", "w"), "?") as client:
        assert await client.event() == ("", "retry", None)
        assert await client.bots(2) == [("7", "a"), ("9", "b")]
        assert await client.event() == ("", "snapshot", {"bots": 2})
        assert (client.status, client.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert client.headers["x-content-type-options"] == "nosniff"
        world.entitled("z", 100, "other")
        world.entitled("a", 6)
        world.entitled("a", 12)
        assert await client.bots(1) == [("12", "a")]
    assert not client.is_complete, "the client left first"


async def test_a_client_resumes_from_the_version_it_has(tmp_path: Path) -> None:
    """That version comes again: two bots may have the same."""
    world = World(tmp_path)
    for bot_id, version in (("a", 7), ("b", 9), ("c", 9), ("d", 11)):
        world.entitled(bot_id, version)
    async with streaming(world, world.key(), last_event_id="9") as client:
        assert await client.bots(3) == [("9", "b"), ("9", "c"), ("11", "d")]
        assert await client.event() == ("", "snapshot", {"bots": 3})


@pytest.mark.parametrize("given", ["x", "-1", "9" * 20, "1.0", "²"])
async def test_an_id_that_no_stream_has_sent_is_refused(given: str, tmp_path: Path) -> None:
    world = World(tmp_path)
    async with streaming(world, world.key(), last_event_id=given) as client:
        pass
    assert client.status == 400


async def test_a_silent_stream_has_heartbeats(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.parts.heartbeat_s = 0.01
    async with streaming(world, world.key()) as client:
        assert [(await client.event())[1] for _ in range(4)] == ["retry", "snapshot", "comment", "comment"]
        world.entitled("a", 1)
        assert await client.bots(1) == [("1", "a")]


async def test_a_slow_client_is_disconnected_and_others_are_not(tmp_path: Path) -> None:
    """It can resume from the last version that it has read."""
    world = World(tmp_path)
    world.parts.streams = Streams(queue_records=10)
    before = SLOW_CLIENTS._value.get()
    token = world.key()
    async with streaming(world, token) as slow, streaming(world, token) as fast:
        for client in (slow, fast):
            assert [(await client.event())[1] for _ in range(2)] == ["retry", "snapshot"]
        slow.reads.clear()
        for version in range(1, 21):
            world.entitled("a", version)
            assert await fast.bots(1) == [(str(version), "a")]
        async with asyncio.timeout(LIMIT_S):
            await slow.over.wait()
        world.entitled("a", 21)
        assert await fast.bots(1) == [("21", "a")]
        assert not slow.is_complete
    assert SLOW_CLIENTS._value.get() == before + 1


@pytest.mark.parametrize("change", [True, False])
async def test_a_stream_ends_in_order_when_its_key_is_revoked(change: bool, tmp_path: Path) -> None:
    """At the next change, which is not sent, or at the next heartbeat."""
    world = World(tmp_path)
    world.parts.heartbeat_s = LIMIT_S if change else 0.01
    async with streaming(world, world.key()) as client:
        assert [(await client.event())[1] for _ in range(2)] == ["retry", "snapshot"]
        with changing_keys(world.key_file) as keys:
            keys.clear()
        if change:
            world.entitled("a", 1)
        async with asyncio.timeout(LIMIT_S):
            await client.over.wait()
        assert client.is_complete
        assert b"entitlement" not in client.unread


async def test_streams_end_in_order_when_the_gateway_stops(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with streaming(world, world.key()) as client:
        assert [(await client.event())[1] for _ in range(2)] == ["retry", "snapshot"]
        assert STREAMS._value.get() == 1
        world.parts.streams.close()
        async with asyncio.timeout(LIMIT_S):
            await client.over.wait()
        assert client.is_complete
    assert STREAMS._value.get() == 0
    assert (await world.ask("GET", "/v1/entitlements/stream?workspace_id=w", world.key())).status_code == 503


async def test_streams_are_bounded_by_number(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.parts.streams = Streams(most=1)
    token = world.key()
    async with streaming(world, token) as client:
        assert (await client.event())[1] == "retry"
        assert (await world.ask("GET", "/v1/entitlements/stream?workspace_id=w", token)).status_code == 503


@pytest.mark.parametrize(
    ("role", "workspace_id", "query", "status"),
    [
        ("platform_admin", "", "", 400),
        ("runtime", "w", "?workspace_id=x", 403),
        ("owner", "w", "?workspace_id=x", 403),
    ],
)
async def test_a_stream_is_refused(role: Any, workspace_id: str, query: str, status: int, tmp_path: Path) -> None:
    world = World(tmp_path)
    answer = await world.ask("GET", f"/v1/entitlements/stream{query}", world.key(role, workspace_id))
    assert answer.status_code == status


async def test_asking_for_the_headers_of_a_stream_opens_none(tmp_path: Path) -> None:
    world = World(tmp_path)
    answer = await world.ask("HEAD", "/v1/entitlements/stream?workspace_id=w", world.key())
    assert (answer.status_code, world.parts.streams._open) == (200, {})
