"""Stripe's adapter against a stand-in of its server on loopback, and webhooks signed as Stripe signs them."""

import hmac
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from meter.payments.gateway import GatewayRefusedError, GatewayUnavailableError, command_of
from meter.payments.stripe_gateway import KEYS_KEPT_MS, StripeGateway, parameters, settled_by_webhook
from schemas.instants import from_ms
from schemas.payment_commands import PaymentFailed, PaymentSettled
from tests.oracle.build import T0
from tests.unit.test_orders import FULL
from tests.unit.test_payments import request

CREATED_S = T0 // 1000 + 7
SECRET = "whsec_test"


@dataclass
class Server:
    """A server that keeps an answer by idempotency key, as Stripe does. `replies` are used in turn, then the last."""

    replies: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    kept: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    posts: list[dict[str, str]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)
    found: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def post(self, key: str, body: str) -> tuple[int, dict[str, Any]]:
        self.keys.append(key)
        self.posts.append({name: values[0] for name, values in parse_qs(body).items()})
        if key not in self.kept:
            self.kept[key] = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        status, reply = self.kept[key]
        if status in (429, 500):
            del self.kept[key]
        return status, reply


@pytest.fixture
def server() -> Iterator[Server]:
    stripe = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._reply(*stripe.post(self.headers["Idempotency-Key"], body))

        def do_GET(self) -> None:
            assert urlsplit(self.path).path == "/v1/payment_intents/search"
            stripe.posts.append({"query": parse_qs(urlsplit(self.path).query)["query"][0]})
            self._reply(200, {"object": "search_result", "data": stripe.found, "has_more": False, "url": "/v1"})

        def _reply(self, status: int, reply: dict[str, Any]) -> None:
            stripe.authorizations.add(self.headers["Authorization"])
            encoded = json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    stripe.url = f"http://127.0.0.1:{listening.server_port}"
    yield stripe
    listening.shutdown()
    thread.join()
    listening.server_close()


def intent(status: str, **more: Any) -> dict[str, Any]:
    return {"id": "pi_1", "object": "payment_intent", "status": status, "created": CREATED_S, **more}


def error(kind: str, code: str | None = None, **more: Any) -> dict[str, Any]:
    return {"error": {"type": kind, "code": code, "message": "no: 4242 4242 4242 4242", **more}}


def gateway(server: Server, now_ms: int = T0) -> StripeGateway:
    return StripeGateway("sk_test", api_base=server.url, now_ms=lambda: now_ms)


REPLIES = [
    ("settled", None, 200, intent("succeeded")),
    (None, None, 200, intent("processing")),
    ("action_required", None, 200, intent("requires_action")),
    ("failed", "error", 200, intent("canceled")),
    ("failed", "declined", 402, error("card_error", "card_declined", payment_intent=intent("requires_payment_method"))),
    ("failed", "expired", 402, error("card_error", "expired_card", payment_intent=intent("requires_payment_method"))),
    (
        "action_required",
        None,
        402,
        error("card_error", "authentication_required", payment_intent=intent("requires_payment_method")),
    ),
    ("failed", "error", 400, error("invalid_request_error", "resource_missing")),
]


@pytest.mark.parametrize(("outcome", "reason", "status", "reply"), REPLIES, ids=lambda part: str(part)[:50])
async def test_what_stripe_says_is_an_answer(
    server: Server, outcome: str | None, reason: str | None, status: int, reply: dict[str, Any]
) -> None:
    """The same command each time it is asked, because its time and its id are those of the intent."""
    server.replies = [(status, reply)]
    asked = request("cus_1/pm_2")
    answers = [await gateway(server).pay(asked) for _ in range(2)]
    assert answers[0] == answers[1]
    assert server.keys == ["k", "k"]
    if outcome is None:
        assert answers[0] is None
        return
    assert answers[0] is not None
    assert answers[0].outcome == outcome
    assert reason in (None, answers[0].reason)
    known = "resource_missing" not in str(reply)
    assert (answers[0].payment_id, answers[0].at) == (
        ("pi_1", from_ms(CREATED_S * 1000)) if known else ("k", from_ms(T0))
    )
    assert answers[1] is not None
    assert command_of(asked, answers[0]) == command_of(asked, answers[1])


async def test_a_payment_is_confirmed_without_the_payer(server: Server) -> None:
    """In whole cents, with the customer, and with what a webhook needs to find the order."""
    server.replies = [(200, intent("succeeded"))]
    await gateway(server).pay(request("cus_1/pm_2"))
    (post,) = server.posts
    assert {name: text.lower() for name, text in post.items()} == {
        "amount": "10000",
        "currency": "usd",
        "payment_method_types[0]": "card",
        "payment_method": "pm_2",
        "customer": "cus_1",
        "confirm": "true",
        "off_session": "true",
        "metadata[workspace_id]": "w",
        "metadata[order_id]": "o",
        "metadata[idempotency_key]": "k",
    }
    assert server.authorizations == {"Bearer sk_test"}


async def test_a_payer_without_a_method_chooses_one_on_stripes_form(server: Server) -> None:
    """The intent is made and not confirmed."""
    server.replies = [(200, intent("requires_payment_method"))]
    answer = await gateway(server).pay(request())
    assert answer is not None
    assert answer.outcome == "action_required"
    assert not {"confirm", "off_session", "payment_method"} & parameters(request()).keys()


@pytest.mark.parametrize(
    ("status", "kind"), [(500, "api_error"), (429, "rate_limit_error"), (409, "idempotency_error")]
)
async def test_no_answer_is_no_failure(server: Server, status: int, kind: str) -> None:
    """The money may have been taken. What the error says is not repeated."""
    server.replies = [(status, error(kind))]
    with pytest.raises(GatewayUnavailableError) as raised:
        await gateway(server).pay(request("pm_1"))
    assert "4242" not in str(raised.value)


async def test_a_server_that_is_away_gives_no_answer() -> None:
    """Nothing listens there."""
    away = StripeGateway("sk_test", api_base="http://127.0.0.1:9", now_ms=lambda: T0)
    with pytest.raises(GatewayUnavailableError):
        await away.pay(request("pm_1"))


async def test_a_wrong_key_ends_the_worker(server: Server) -> None:
    """With the setting that names it, and without the key."""
    server.replies = [(401, error("invalid_request_error"))]
    with pytest.raises(GatewayRefusedError, match="METER_STRIPE_KEY_FILE") as raised:
        await gateway(server).pay(request("pm_1"))
    assert "sk_test" not in str(raised.value)


async def test_an_old_request_takes_no_money(server: Server) -> None:
    """Stripe forgets idempotency keys after a day. An intent that is found is the answer; without one it has failed."""
    server.replies = [(200, intent("succeeded"))]
    old = gateway(server, now_ms=T0 + KEYS_KEPT_MS)
    server.found = [intent("requires_payment_method", last_payment_error={"code": "expired_card"})]
    answer = await old.pay(request("pm_1"))
    assert answer is not None
    assert (answer.outcome, answer.reason, server.keys) == ("failed", "expired", [])
    assert server.posts == [{"query": "metadata['idempotency_key']:'k'"}]
    server.found = []
    answer = await old.pay(request("pm_1"))
    assert answer is not None
    assert (answer.outcome, answer.reason, answer.at, server.keys) == ("failed", "error", from_ms(T0), [])
    answer = await gateway(server, now_ms=T0 + KEYS_KEPT_MS - 1).pay(request("pm_1"))
    assert answer is not None
    assert (answer.outcome, server.keys) == ("settled", ["k"])


def signed(event: dict[str, Any], secret: str = SECRET, at_s: int | None = None) -> tuple[bytes, str]:
    """The payload and the header Stripe-Signature."""
    payload = json.dumps(
        {"id": "evt_1", "object": "event", "created": CREATED_S, "api_version": None, **event}
    ).encode()
    at = str(int(time.time()) if at_s is None else at_s)
    mac = hmac.new(secret.encode(), at.encode() + b"." + payload, "sha256").hexdigest()
    return payload, f"t={at},v1={mac}"


def told(kind: str, **more: Any) -> dict[str, Any]:
    about = {"metadata": {"workspace_id": "w", "order_id": "o"}, "amount_received": 10_000, **more}
    return {"type": f"payment_intent.{kind}", "data": {"object": intent("succeeded", **about)}}


def test_a_signed_webhook_is_a_command() -> None:
    """It settles the order by the same payment as the worker's own answer, so both are one."""
    payload, signature = signed(told("succeeded"))
    command = settled_by_webhook(payload, signature, SECRET)
    assert isinstance(command, PaymentSettled)
    assert (command.id, command.data.payment_id, command.data.amount_micros) == ("evt_1", "pi_1", FULL)
    assert command == settled_by_webhook(*signed(told("succeeded")), SECRET)


def test_a_webhook_of_a_failure_is_a_command() -> None:
    """With the reason that Stripe's code gives."""
    for code, reason in (("expired_card", "expired"), ("card_declined", "declined"), (None, "declined")):
        command = settled_by_webhook(*signed(told("payment_failed", last_payment_error={"code": code})), SECRET)
        assert isinstance(command, PaymentFailed)
        assert command.data.reason == reason


def test_other_webhooks_are_no_commands() -> None:
    """Other types, and payments that are not ours."""
    assert settled_by_webhook(*signed(told("created")), SECRET) is None
    assert settled_by_webhook(*signed(told("succeeded", metadata={})), SECRET) is None


def test_a_webhook_that_stripe_has_not_signed_is_refused() -> None:
    """Another secret, another payload, an old signature, or none."""
    payload, signature = signed(told("succeeded"))
    old = signed(told("succeeded"), at_s=int(time.time()) - 3_600)
    other = signed(told("succeeded"), secret="whsec_other")
    for sent, header in ((payload + b" ", signature), (payload, ""), old, other):
        with pytest.raises(ValueError, match="Stripe-Signature"):
            settled_by_webhook(sent, header, SECRET)
