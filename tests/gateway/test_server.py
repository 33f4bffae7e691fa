"""The server: headers that come slowly or without an end, streams at a stop, and the writer that waits for Kafka."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka.errors import KafkaError

from meter.gateway.connection import MAX_HEADER_BYTES, BoundedProtocol
from meter.gateway.kafka import KafkaWriter
from meter.gateway.ports import KafkaAwayError
from meter.gateway.server import Server, _bound, _serve
from meter.kafka.entitlements import Changes
from meter.kafka.reader import Followed
from meter.kafka.records import Delivery, Record
from meter.settings import Settings
from schemas.formats import NewerFormatError
from schemas.listening import PortsTakenError
from schemas.topics import CHAT_EVENTS
from tests.gateway.fakes import World

LIMIT_S = 30
"""A bound for what never ends."""

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def served(world: World) -> AsyncIterator[tuple[Server, asyncio.Task[None], int]]:
    """A server on a free port; at the end it has stopped."""
    ready = asyncio.Event()
    server = Server(world.app, world.parts, ready.set)
    listening, url = _bound(Settings())
    task = asyncio.create_task(server.serve([listening]))
    await ready.wait()
    try:
        yield server, task, int(url.rpartition(":")[2])
    finally:
        server.stop()
        async with asyncio.timeout(LIMIT_S):
            await task


async def until_closed(connection: Connection) -> bytes:
    """What the server sends until it ends the connection."""
    reader, writer = connection
    async with asyncio.timeout(LIMIT_S):
        found = await reader.read()
    writer.close()
    return found


async def test_a_client_whose_headers_do_not_come_is_disconnected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its first byte, in the middle of the headers, and after a first request."""
    monkeypatch.setattr(BoundedProtocol, "headers_s", 0.05)
    async with served(World(tmp_path)) as (_, _, port):
        for begun in (b"", b"GET /livez HTTP/1.1\r\nhost: x"):
            connection = await asyncio.open_connection("127.0.0.1", port)
            connection[1].write(begun)
            assert await until_closed(connection) == b""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        async with asyncio.timeout(LIMIT_S):
            assert (await reader.readuntil(b'"ok"}')).startswith(b"HTTP/1.1 200")
        writer.write(b"GET /li")
        assert await until_closed((reader, writer)) == b""


async def test_a_request_that_takes_longer_than_headers_may_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is for headers. A stream goes on."""
    monkeypatch.setattr(BoundedProtocol, "headers_s", 0.01)
    world = World(tmp_path)
    world.parts.heartbeat_s = 0.02
    token = world.key()
    async with served(world) as (_, _, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET /v1/entitlements/stream?workspace_id=w HTTP/1.1\r\nhost: x\r\n"
            b"authorization: Bearer " + token.encode() + b"\r\n\r\n"
        )
        async with asyncio.timeout(LIMIT_S):
            for _ in range(3):
                await reader.readuntil(b": heartbeat")
        writer.close()


async def test_headers_without_an_end_are_refused(tmp_path: Path) -> None:
    async with served(World(tmp_path)) as (_, _, port):
        connection = await asyncio.open_connection("127.0.0.1", port)
        connection[1].write(b"GET /livez HTTP/1.1\r\nx: " + b"y" * (2 * MAX_HEADER_BYTES))
        assert (await until_closed(connection)).startswith(b"HTTP/1.1 400")


async def test_a_stop_ends_streams_in_order_and_takes_no_new_connection(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.entitled("b", 7)
    token = world.key()
    async with served(world) as (server, task, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET /v1/entitlements/stream?workspace_id=w HTTP/1.1\r\nhost: x\r\n"
            b"authorization: Bearer " + token.encode() + b"\r\n\r\n"
        )
        async with asyncio.timeout(LIMIT_S):
            beginning = await reader.readuntil(b"event: snapshot")
        assert b"id: 7\nevent: entitlement" in beginning
        assert b"server:" not in beginning.lower()
        server.stop()
        rest = await until_closed((reader, writer))
        assert rest.endswith(b"0\r\n\r\n"), "the last chunk: the stream is complete"
        await task
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)


async def test_small_answers_are_sent_at_once(tmp_path: Path) -> None:
    """Head and body of an answer are two packets: the second must not wait until the client acknowledges the first."""
    world = World(tmp_path)
    delays: list[int] = []

    class Noting(BoundedProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            delays.append(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    server = Server(world.app, world.parts, lambda: None)
    server.config.http = Noting
    listening, url = _bound(Settings())
    task = asyncio.create_task(server.serve([listening]))
    _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    await until_closed((_, writer))
    server.stop()
    await task
    assert delays == [1]


def test_a_port_that_is_taken_names_its_variable() -> None:
    listening, url = _bound(Settings())
    with listening, pytest.raises(PortsTakenError, match="METER_HTTP_PORT"):
        _bound(Settings(meter_http_port=int(url.rpartition(":")[2])))
    with pytest.raises(PortsTakenError, match="METER_HTTP_HOST"):
        _bound(Settings(meter_http_host="192.0.2.1"))


class Topics:
    """A producer that fails, or never answers."""

    def __init__(self, fails: bool) -> None:
        self.fails = fails

    async def append_keyed(self, topic: str, records: Iterable[Record]) -> list[Delivery]:  # noqa: ARG002
        delivery = asyncio.get_running_loop().create_future()
        if self.fails:
            delivery.set_exception(KafkaError("no"))
        return [delivery]

    async def partition_of(self, topic: str, key: bytes) -> int:  # noqa: ARG002
        return 0

    async def write_one(self, topic: str, partition: int, record: Record) -> int:  # noqa: ARG002
        (delivery,) = await self.append_keyed(topic, [record])
        await delivery
        return 0


@pytest.mark.parametrize("fails", [True, False])
async def test_a_write_that_is_not_acknowledged_is_an_error_in_bounded_time(fails: bool) -> None:
    writer = KafkaWriter(Topics(fails), write_s=0.01)  # type: ignore[arg-type] # It has what the writer uses.
    with pytest.raises(KafkaAwayError):
        await writer.write(CHAT_EVENTS, [Record(b"k", b"v")])
    with pytest.raises(KafkaAwayError):
        await writer.write_one(CHAT_EVENTS, Record(b"k", b"v"))


@pytest.mark.parametrize("begins", [True, False])
async def test_a_reader_that_fails_ends_the_gateway_with_its_error(
    begins: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the server has begun, and after that. The gateway must not answer from what it read until then."""
    is_ready = asyncio.Event()

    async def following(*_: object, **__: object) -> AsyncIterator[Followed]:
        if begins:
            yield Followed([], True)
        await asyncio.Event().wait()

    async def failing(*_: object) -> AsyncIterator[Changes]:
        if begins:
            await is_ready.wait()
        raise NewerFormatError("entitlements/0 has format 99")
        yield Changes([], True)

    monkeypatch.setattr("meter.gateway.server.follow", following)
    monkeypatch.setattr("meter.gateway.server.follow_entitlements", failing)
    world = World(tmp_path)
    listening, url = _bound(Settings())
    with listening, pytest.raises(NewerFormatError):
        async with asyncio.timeout(LIMIT_S):
            await _serve(Server(world.app, world.parts, is_ready.set), world.parts, listening, "nowhere:1")
    assert is_ready.is_set() == begins
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
