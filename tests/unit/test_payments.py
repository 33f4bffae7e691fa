"""Payments: what the sandbox answers, what answers become, and workers that are killed anywhere."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.core.wallet.wallets import Wallets
from meter.payments.choose_gateway import gateway_of
from meter.payments.gateway import Answer, GatewayUnavailableError, command_of
from meter.payments.sandbox import SLOW_S, Sandbox
from meter.payments.worker import commands_for
from meter.settings import load
from schemas.environment import SettingsError
from schemas.formats import NewerFormatError
from schemas.instants import from_ms
from schemas.metered import decode_wallet_input
from schemas.payments import PaymentRequest, decode_payment_request, encode_payment_request
from tests.oracle.build import T0, command
from tests.unit.test_orders import FULL, placed


def request(method_id: str = "", **changed: object) -> PaymentRequest:
    found = PaymentRequest(
        workspace_id="w",
        order_id="o",
        bot_id=None,
        amount_micros=FULL,
        method="card",
        method_id=method_id,
        idempotency_key="k",
        requested_at=from_ms(T0),
    )
    return msgspec.structs.replace(found, **changed)


@pytest.mark.parametrize(
    ("method_id", "outcome", "reason"),
    [
        ("", "settled", None),
        ("sandbox_ok", "settled", None),
        ("pm_1", "settled", None),
        ("sandbox_declined", "failed", "declined"),
        ("sandbox_expired", "failed", "expired"),
        ("sandbox_error", "failed", "error"),
        ("sandbox_action", "action_required", None),
        ("sandbox_slow", "settled", None),
    ],
)
async def test_the_sandbox_answers_as_the_method_says(method_id: str, outcome: str, reason: str | None) -> None:
    """At the request's own time, and the same however often it is asked (INTERFACES, Processes)."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    sandbox = Sandbox(sleep)
    answer = await sandbox.pay(request(method_id))
    assert answer is not None
    assert (answer.outcome, answer.at) == (outcome, from_ms(T0))
    assert reason is None or answer.reason == reason
    assert answer == await sandbox.pay(request(method_id))
    assert slept == [SLOW_S] * 2 * (method_id == "sandbox_slow")


@pytest.mark.parametrize("outcome", ["settled", "failed", "action_required"])
async def test_an_answer_is_a_command_with_ids_that_follow_from_it(outcome: str) -> None:
    """A repeat is the same command; another order, attempt or outcome is another one."""
    answer = Answer(outcome=outcome, payment_id="p", at=from_ms(T0), reason="expired")  # type: ignore[arg-type]
    first = command_of(request(), answer)
    assert msgspec.json.encode(first) == msgspec.json.encode(command_of(request(), answer))
    others = (request(order_id="p"), request(attempt=2), request(workspace_id="v"))
    assert len({first.id, *(command_of(other, answer).id for other in others)}) == 4
    read = decode_wallet_input(msgspec.json.encode(first))
    assert read == first
    assert type(read).__struct_config__.tag == f"billing.payment.{outcome}"


@dataclass
class Till:
    """A gateway that takes money once for each idempotency key, and fails `failures` times before each answer."""

    failures: int = 0
    taken: dict[str, int] = field(default_factory=dict)
    asked: int = 0

    async def pay(self, request: PaymentRequest) -> Answer | None:
        self.asked += 1
        self.taken[request.idempotency_key] = request.amount_micros
        if self.asked <= self.failures:
            raise GatewayUnavailableError("it took the money, and the answer was lost")
        return await Sandbox().pay(request)


async def test_a_gateway_without_an_answer_is_asked_until_it_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The money may have been taken, so nothing is reported as failed."""

    async def at_once(_: float) -> None:
        return None

    monkeypatch.setattr(asyncio, "sleep", at_once)
    till = Till(failures=9)
    (record,) = await commands_for([encode_payment_request(request())], till)
    assert (till.asked, len(till.taken)) == (10, 1)
    assert record.key == b"w"


@pytest.mark.parametrize("died", ["before the gateway", "after the gateway", "after the commands"])
async def test_a_worker_that_is_killed_pays_and_credits_once(died: str) -> None:
    """Its successor reads the same requests again, because the offset was not committed."""
    wallets, till, at = Wallets(Policy()), Till(), 0
    log = [command("order.placed", 0, **placed()[1])]

    def read_on() -> list[bytes]:
        nonlocal at
        for value in log[at:]:
            assert not isinstance(wallets.step(decode_wallet_input(value)), Rejected)
        at = len(log)
        return [encode_payment_request(each) for each in wallets.take_payment_requests()]

    values = read_on()
    if died != "before the gateway":
        commands = await commands_for(values, till)
        log += [record.value or b"" for record in commands if died == "after the commands"]
    for _ in range(2):
        log += [record.value or b"" for record in await commands_for(values, till)]
    assert read_on() == []
    assert list(till.taken.values()) == [FULL]
    assert wallets.books["w"].wallet.paid_micros == FULL


async def test_what_is_no_request_is_left_out() -> None:
    """The others of its batch are asked for. What a newer version has written ends the worker."""
    values = [b"", b"{}", encode_payment_request(request()), b"\xff"]
    assert len(await commands_for(values, Sandbox())) == 1
    newer = encode_payment_request(request()).replace(b'"format":1', b'"format":2')
    with pytest.raises(NewerFormatError, match="a newer version wrote it"):
        await commands_for([newer], Sandbox())


async def test_answers_keep_the_order_of_their_requests() -> None:
    """However long each of them takes."""
    asked = [request(order_id=f"o-{number}") for number in range(9)]

    class Uneven:
        async def pay(self, request: PaymentRequest) -> Answer | None:
            for _ in range(9 - int(request.order_id[-1])):
                await asyncio.sleep(0)
            return None if request.order_id == "o-5" else await Sandbox().pay(request)

    records = await commands_for(map(encode_payment_request, asked), Uneven())
    found = [msgspec.json.decode(record.value or b"")["data"]["order_id"] for record in records]
    assert found == [each.order_id for each in asked if each.order_id != "o-5"]


def test_a_request_is_read_as_it_was_written() -> None:
    """And bounded: no other method, no amount of nothing."""
    assert decode_payment_request(encode_payment_request(request("m", bot_id="b"))) == request("m", bot_id="b")
    for wrong in (request(method="cash"), request(amount_micros=0), request(attempt=0), request("m" * 513)):
        with pytest.raises(msgspec.ValidationError):
            decode_payment_request(encode_payment_request(wrong))


def test_settings_that_name_no_key_are_refused(tmp_path: Path) -> None:
    """With the variable, and without anything that the file holds."""
    assert isinstance(gateway_of(load({})), Sandbox)
    with pytest.raises(SettingsError, match="METER_PAYMENTS='cash' cannot be used"):
        load({"METER_PAYMENTS": "cash"})
    secret, several, absent = tmp_path / "key", tmp_path / "several", tmp_path / "absent"
    secret.write_text("sk_test_secret\n")
    several.write_bytes(b"sk_test_secret sk_test_other")
    for file in ("", str(several), str(absent), str(tmp_path)):
        with pytest.raises(SettingsError, match="METER_STRIPE_KEY_FILE") as refused:
            gateway_of(load({"METER_PAYMENTS": "stripe", "METER_STRIPE_KEY_FILE": file}))
        assert "sk_test" not in str(refused.value)
    assert gateway_of(load({"METER_PAYMENTS": "stripe", "METER_STRIPE_KEY_FILE": str(secret)}))
