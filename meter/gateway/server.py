"""Running the gateway: the application on a server, beside the readers of outcomes and entitlements."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Generator
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from meter.gateway.app import make_app
from meter.gateway.connection import MAX_HEADER_BYTES, BoundedProtocol
from meter.gateway.kafka import KafkaWriter
from meter.gateway.key_file import WatchedKeys, keys_path
from meter.gateway.limits import HeldBytes, Rates
from meter.gateway.metrics import UNREADABLE
from meter.gateway.outcomes import Outcomes
from meter.gateway.parts import Parts
from meter.gateway.streams import MAX_STREAMS, Streams
from meter.kafka.entitlements import Entitlements, follow_entitlements
from meter.kafka.reader import follow
from meter.kafka.topics import KafkaTopics
from meter.settings import Settings
from schemas.listening import listen
from schemas.repeated_lines import bound_repeated_lines
from schemas.topics import ENTITLEMENTS, OUTCOMES

FIRST_PORT: Final = 8090
"""Where the search for a free port begins if METER_HTTP_PORT is 0."""

MAX_CONNECTIONS: Final = 2 * MAX_STREAMS
"""How many connections may be open; a further one is answered with 503."""

STOP_S: Final = 10
"""How long requests that are under way may take after SIGTERM."""


class Server(uvicorn.Server):
    """uvicorn's server, with our signals, and with streams that end when it stops."""

    def __init__(self, app: ASGIApp, parts: Parts, on_ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=BoundedProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                h11_max_incomplete_event_size=MAX_HEADER_BYTES,
                limit_concurrency=MAX_CONNECTIONS,
                timeout_graceful_shutdown=STOP_S,
            )
        )
        self._parts = parts
        self._on_ready = on_ready

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """End in order at SIGTERM and SIGINT. uvicorn's own would raise the signal again, and end with its status."""
        loop = asyncio.get_running_loop()
        handled = (signal.SIGTERM, signal.SIGINT)
        for each in handled:
            loop.add_signal_handler(each, self.stop)
        try:
            yield
        finally:
            for each in handled:
                loop.remove_signal_handler(each)

    def stop(self) -> None:
        """Begin to stop: no new connections; requests under way are finished, streams are ended."""
        self._parts.is_stopping = True
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End streams and waits for outcomes, and let the requests that are under way end, STOP_S at most."""
        self._parts.is_stopping = True
        self._parts.outcomes.close()
        self._parts.streams.close()
        await super().shutdown(sockets)


def run(settings: Settings, on_ready: Callable[[str], None]) -> None:
    """Run a gateway until SIGTERM or SIGINT. `on_ready` is called with its address when it listens.

    Raises SettingsError, PortsTakenError, TopicsError, KafkaConnectionError and NewerFormatError.
    """
    logging.basicConfig(level=settings.meter_log_level)
    logging.getLogger("aiokafka").setLevel(logging.NOTSET)
    bound_repeated_lines()
    asyncio.run(_run(settings, on_ready))


async def _run(settings: Settings, on_ready: Callable[[str], None]) -> None:
    rates = Rates(settings.meter_http_rate)
    keys = WatchedKeys(keys_path(settings.meter_api_keys_file), rates.forget_all_except)
    topics = KafkaTopics(settings.kafka_bootstrap_servers, idempotent=settings.kafka_idempotent)
    listening, url = _bound(settings)
    try:
        await topics.start()
        parts = Parts(
            keys=keys,
            writer=KafkaWriter(topics),
            rates=rates,
            held=HeldBytes(),
            outcomes=Outcomes(),
            entitlements=Entitlements(),
            streams=Streams(),
            is_caught_up=asyncio.Event(),
        )
        server = Server(make_app(parts), parts, lambda: on_ready(url))
        await _serve(server, parts, listening, settings.kafka_bootstrap_servers)
    finally:
        listening.close()
        await topics.stop()


async def _serve(server: Server, parts: Parts, listening: socket.socket, bootstrap: str) -> None:
    """Serve until the server stops. If a reader fails, stop the server in order and raise what failed.

    The server begins when the outcomes are followed: the outcome of its first command must not be missed.
    """
    begun = asyncio.Event()
    readers = [
        asyncio.create_task(_read_outcomes(bootstrap, parts, begun)),
        asyncio.create_task(_read_entitlements(bootstrap, parts)),
    ]
    serving = asyncio.create_task(_serve_after(begun, server, listening))
    await asyncio.wait([serving, *readers], return_when=asyncio.FIRST_COMPLETED)
    if not begun.is_set():
        serving.cancel()
    server.stop()
    await asyncio.gather(serving, return_exceptions=not begun.is_set())
    failed = [error for each in readers if each.done() and (error := each.exception()) is not None]
    for each in readers:
        each.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    if failed:
        raise failed[0]


async def _serve_after(begun: asyncio.Event, server: Server, listening: socket.socket) -> None:
    await begun.wait()
    await server.serve([listening])


async def _read_outcomes(bootstrap: str, parts: Parts, begun: asyncio.Event) -> None:
    async with contextlib.aclosing(follow(bootstrap, OUTCOMES, from_end=True)) as following:
        async for followed in following:
            begun.set()
            for record in followed.records:
                parts.outcomes.add(record.value, f"{record.topic}/{record.partition}, offset {record.offset}")


async def _read_entitlements(bootstrap: str, parts: Parts) -> None:
    unreadable = 0
    async with contextlib.aclosing(follow_entitlements(bootstrap, parts.entitlements)) as following:
        async for changes in following:
            UNREADABLE.labels(ENTITLEMENTS.name).inc(parts.entitlements.unreadable - unreadable)
            unreadable = parts.entitlements.unreadable
            for change in changes.newer:
                parts.streams.publish(change)
            if changes.is_caught_up:
                parts.is_caught_up.set()


def _listening(host: str, port: int) -> socket.socket:
    # With the number of the protocol, asyncio lets small packets go at once. Without it each answer takes 40 ms.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(1_024)
    except OSError:
        listening.close()
        raise
    return listening


def _bound(settings: Settings) -> tuple[socket.socket, str]:
    """The socket to listen on, and its address. Raises PortsTakenError."""
    opened: list[socket.socket] = []

    def bind(port: int, host: str) -> None:
        opened.append(_listening(host, port))

    host = settings.meter_http_host
    port = listen(bind, host, settings.meter_http_port, FIRST_PORT, "METER_HTTP")
    return opened[0], f"http://{f'[{host}]' if ':' in host else host}:{port}"
