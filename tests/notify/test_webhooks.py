"""Webhooks to a real HTTP server: what it gets, and what each of its answers means."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiohttp import web
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from meter.notify import webhooks
from meter.notify.endpoints import Endpoint
from meter.notify.outlets import DeliveryError, PermanentError, TemporaryError
from meter.notify.webhooks import WebhookOutlet
from schemas.notices import NoticeError, decode_notice
from tests.notify.fakes import notice

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATH = "/hooks/sesame"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def endpoint(handler: Handler) -> AsyncIterator[WebhookOutlet]:
    """An outlet to a server whose every path is answered by `handler`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    outlet = WebhookOutlet(Endpoint("console", f"http://127.0.0.1:{port}{PATH}", SECRET))
    try:
        yield outlet
    finally:
        await outlet.close()
        await runner.cleanup()


def answers(status: int, **headers: str) -> Handler:
    """A handler that always answers this."""

    async def handle(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response(status=status, headers=headers)

    return handle


async def send(outlet: WebhookOutlet) -> None:
    """Send a notice once."""
    await outlet.send(notice(), "console")


async def test_a_receiver_verifies_the_notice_with_the_library() -> None:
    got: list[tuple[dict[str, str], bytes]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        got.append((dict(request.headers), await request.read()))
        return web.Response(status=204)

    async with endpoint(handle) as outlet:
        await send(outlet)
    ((headers, body),) = got
    assert Webhook(SECRET).verify(body, headers)["notice_id"] == "n-1"
    assert headers["webhook-id"] == "n-1"
    assert decode_notice(body) == notice()
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"n-1", b"n-2"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 32).verify(body, headers)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_an_answer_from_200_to_299_takes_it(status: int) -> None:
    async with endpoint(answers(status)) as outlet:
        await send(outlet)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, TemporaryError),
        (404, TemporaryError),
        (429, TemporaryError),
        (500, TemporaryError),
        (503, TemporaryError),
        (410, PermanentError),
    ],
)
async def test_every_other_answer_is_tried_again_but_gone(status: int, error: type[DeliveryError]) -> None:
    async with endpoint(answers(status)) as outlet:
        with pytest.raises(error, match=f"answered {status}"):
            await send(outlet)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(status: int) -> None:
    """Another host would get the notice, with a signature."""
    asked: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(status=status, headers={"location": "/elsewhere"})

    async with endpoint(handle) as outlet:
        with pytest.raises(TemporaryError, match=f"answered {status}, which is a redirect"):
            await send(outlet)
    assert asked == [PATH]


async def test_an_answer_of_any_length_is_not_read() -> None:
    """The server can write no more than what fits the buffers of the connection."""
    written, ended = [0], asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(headers={"content-encoding": "gzip", "content-length": str(2 * 1024**3)})
        await response.prepare(request)
        try:
            while written[0] < 2 * 1024**3:
                await response.write(b"\0" * 65_536)
                written[0] += 65_536
        finally:
            ended.set()
        return response

    async with endpoint(handle) as outlet:
        await send(outlet)
        await ended.wait()
    assert written[0] < 64 * 1024**2


async def test_an_endpoint_that_does_not_answer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    monkeypatch.setattr(webhooks, "ANSWER_S", 0.2)
    async with endpoint(handle) as outlet:
        with pytest.raises(TemporaryError, match=r"gave no answer: not within 0.2 s"):
            await send(outlet)


async def test_an_endpoint_that_is_not_there_is_tried_again(closed_port: int) -> None:
    """The reason does not show the URL, which may hold a token."""
    outlet = WebhookOutlet(Endpoint("console", f"http://127.0.0.1:{closed_port}{PATH}", SECRET))
    with pytest.raises(TemporaryError) as failed:
        await send(outlet)
    assert str(failed.value).startswith("the endpoint gave no answer: no connection (")
    assert "sesame" not in str(failed.value)
    await outlet.close()


@pytest.mark.parametrize(
    "junk", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000, b"HTTP/9 abc\r\n\r\n"]
)
async def test_an_answer_that_is_no_http_is_no_answer(junk: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(junk)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    outlet = WebhookOutlet(Endpoint("console", f"http://127.0.0.1:{port}/", SECRET))
    with pytest.raises(TemporaryError, match="gave no answer"):
        await send(outlet)
    await outlet.close()
    server.close()


async def test_a_notice_that_cannot_be_sent_is_refused_before_the_endpoint_is_asked(closed_port: int) -> None:
    outlet = WebhookOutlet(Endpoint("console", f"http://127.0.0.1:{closed_port}/", SECRET))
    for notice_id in ("a b", "a\r\nx: y", "ü"):
        with pytest.raises(PermanentError, match="notice_id"):
            await outlet.send(notice(notice_id), "console")
    with pytest.raises(NoticeError):
        await outlet.send(msgspec.structs.replace(notice(), fields={}), "console")


def test_an_endpoint_gets_only_what_it_wants() -> None:
    outlet = WebhookOutlet(Endpoint("console", "http://h", SECRET, templates=frozenset(["purchase"])))
    assert outlet.recipients(notice(template="purchase")) == ["console"]
    assert outlet.recipients(notice()) == []
