"""Stripe as the payment gateway: payment intents, confirmed without the payer being there, and Stripe's webhooks."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import stripe

from meter.payments.gateway import SOURCE, Answer, GatewayRefusedError, GatewayUnavailableError
from schemas.instants import HOUR_MS, SECOND_MS, from_ms, to_ms
from schemas.money import DOLLAR_MICROS
from schemas.payment_commands import (
    AnyPaymentCommand,
    FailedData,
    FailureReason,
    PaymentFailed,
    PaymentSettled,
    SettledData,
)
from schemas.payments import PaymentRequest

CENT_MICROS: Final = DOLLAR_MICROS // 100

KEYS_KEPT_MS: Final = 20 * HOUR_MS
"""How long an idempotency key holds: Stripe may forget it after a day. No money is taken for an older request."""

_TYPES: Final = {"card": "card", "paypal": "paypal", "ach": "us_bank_account", "wire": "customer_balance"}
"""Our word for a method -> Stripe's."""

_UNAVAILABLE: Final = (
    stripe.APIConnectionError,
    stripe.RateLimitError,
    stripe.IdempotencyError,
)
_NO_KEY: Final = (
    "Stripe does not accept the key: put a secret key that may create and search payment intents into the file that "
    "METER_STRIPE_KEY_FILE names"
)
_NOT_ACCEPTED: Final = (stripe.AuthenticationError, stripe.PermissionError)


class StripeGateway:
    """Takes payments by Stripe. `method_id` is `CUSTOMER/METHOD` in Stripe's names, such as `cus_1/pm_2`, or `pm_2`.

    A request without a method becomes an intent that the payer confirms on a form of the gateway's.
    """

    def __init__(self, api_key: str, *, api_base: str | None = None, now_ms: Callable[[], int] | None = None) -> None:
        """`api_base` is another server than Stripe's, for tests."""
        addresses: Any = {"api": api_base} if api_base else None
        # The worker tries again itself. The library would hide how long it takes.
        self._client = stripe.StripeClient(api_key, base_addresses=addresses, max_network_retries=0)
        self._now_ms = now_ms or (lambda: int(time.time() * 1000))

    async def pay(self, request: PaymentRequest) -> Answer | None:
        """Create and confirm a payment intent, in a thread: the library's own client blocks."""
        return await asyncio.to_thread(self._pay, request)

    def _pay(self, request: PaymentRequest) -> Answer | None:
        try:
            if self._now_ms() - to_ms(request.requested_at) >= KEYS_KEPT_MS:
                return self._found(request)
            intent = self._created(request)
        except stripe.CardError as error:
            return _declined(request, error)
        except _UNAVAILABLE as error:
            raise GatewayUnavailableError(_described(error)) from error
        except _NOT_ACCEPTED as error:
            raise GatewayRefusedError(_NO_KEY) from error
        except stripe.InvalidRequestError as error:
            return _of_error(request, error, "error")
        except stripe.StripeError as error:
            raise GatewayUnavailableError(_described(error)) from error
        return _answer(request, intent)

    def _created(self, request: PaymentRequest) -> stripe.PaymentIntent:
        options: Any = {"idempotency_key": request.idempotency_key}
        params: Any = parameters(request)
        return self._client.v1.payment_intents.create(params, options)

    def _found(self, request: PaymentRequest) -> Answer | None:
        """The answer to an old request, whose idempotency key Stripe may have forgotten. No money is taken for it.

        Wallets that are made again from the log ask for all payments once more. One without an intent has failed.
        """
        query = f"metadata['idempotency_key']:'{request.idempotency_key}'"
        try:
            found = self._client.v1.payment_intents.search({"query": query})
        except stripe.InvalidRequestError as error:
            raise GatewayUnavailableError(f"search: {_described(error)}") from error
        if found.data:
            return _answer(request, found.data[0])
        return Answer(outcome="failed", payment_id=request.idempotency_key, at=request.requested_at)


def parameters(request: PaymentRequest) -> dict[str, Any]:
    """The parameters of the intent. Whole cents are an integer of Stripe's smallest unit."""
    cents, rest = divmod(request.amount_micros, CENT_MICROS)
    assert rest == 0, "an order is in whole cents"
    found: dict[str, Any] = {
        "amount": cents,
        "currency": "usd",
        "payment_method_types": [_TYPES[request.method]],
        "metadata": {
            "workspace_id": request.workspace_id,
            "order_id": request.order_id,
            "idempotency_key": request.idempotency_key,
        },
    }
    if request.method_id:
        customer, _, method = request.method_id.rpartition("/")
        found |= {"payment_method": method, "confirm": True, "off_session": True}
        if customer:
            found["customer"] = customer
    return found


def _answer(request: PaymentRequest, intent: stripe.PaymentIntent) -> Answer | None:
    at = from_ms(intent.created * SECOND_MS)
    match intent.status:
        case "succeeded":
            return Answer(outcome="settled", payment_id=intent.id, at=at)
        case "requires_payment_method" if request.method_id:
            # It was confirmed and has failed: an intent that was found keeps that.
            return Answer(outcome="failed", payment_id=intent.id, at=at, reason=_reason(intent.last_payment_error))
        case "canceled":
            return Answer(outcome="failed", payment_id=intent.id, at=at)
        case "processing":
            return None  # A webhook says how it ends.
        case _:
            return Answer(outcome="action_required", payment_id=intent.id, at=at)


def _declined(request: PaymentRequest, error: stripe.CardError) -> Answer:
    if error.code == "authentication_required":
        return _of_error(request, error, "declined", waits=True)
    return _of_error(request, error, "expired" if error.code == "expired_card" else "declined")


def _of_error(
    request: PaymentRequest, error: stripe.StripeError, reason: FailureReason, *, waits: bool = False
) -> Answer:
    """The answer of an error. It has the time and the name of the intent, if one was made."""
    body = error.json_body
    details = body.get("error", {}) if isinstance(body, Mapping) else {}
    intent = details.get("payment_intent") or {}
    at = from_ms(intent["created"] * SECOND_MS) if "created" in intent else request.requested_at
    return Answer(
        outcome="action_required" if waits else "failed",
        payment_id=intent.get("id") or request.idempotency_key,
        at=at,
        reason=reason,
    )


def _described(error: stripe.StripeError) -> str:
    """The kind of an error and Stripe's code, and nothing that it says: its text may repeat what was sent."""
    return f"{type(error).__name__} {error.code or error.http_status or ''}".strip()


def settled_by_webhook(payload: bytes, signature: str, secret: str) -> AnyPaymentCommand | None:
    """Return the command that a webhook of Stripe's becomes; None if it is about nothing that a wallet knows.

    `signature` is the header Stripe-Signature, `secret` the endpoint's. Raises ValueError if the payload was not signed
    with the secret within the last five minutes, or is not JSON. A webhook that comes again gives the same command.
    """
    try:
        event: Any = stripe.Webhook.construct_event(payload, signature, secret)
    except stripe.SignatureVerificationError as error:
        raise ValueError("Stripe-Signature: does not fit the payload and the endpoint's secret") from error
    intent = event.data.object
    if event.type not in ("payment_intent.succeeded", "payment_intent.payment_failed"):
        return None
    metadata = intent.metadata.to_dict() if intent.metadata else {}
    workspace_id, order_id = metadata.get("workspace_id"), metadata.get("order_id")
    if not workspace_id or not order_id:
        return None
    at = from_ms(event.created * SECOND_MS)
    source = f"{SOURCE}/stripe"
    if event.type == "payment_intent.succeeded":
        settled = SettledData(
            workspace_id=workspace_id,
            order_id=order_id,
            payment_id=intent.id,
            amount_micros=intent.amount_received * CENT_MICROS,
        )
        return PaymentSettled(specversion="1.0", id=event.id, source=source, time=at, data=settled)
    failed = FailedData(
        workspace_id=workspace_id, order_id=order_id, payment_id=intent.id, reason=_reason(intent.last_payment_error)
    )
    return PaymentFailed(specversion="1.0", id=event.id, source=source, time=at, data=failed)


def _reason(error: Any) -> FailureReason:
    code = getattr(error, "code", None)
    return "expired" if code == "expired_card" else "declined"
