"""The protocol of a payment gateway, its answers, and the commands that they become."""

from datetime import datetime
from typing import Literal, Protocol

import msgspec

from schemas.ids import digest
from schemas.payment_commands import (
    ActionData,
    AnyPaymentCommand,
    FailedData,
    FailureReason,
    PaymentActionRequired,
    PaymentFailed,
    PaymentSettled,
    SettledData,
)
from schemas.payments import PaymentRequest

SOURCE = "/meter/payments"
"""The source of the commands that this package writes."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway's answer to a request. `reason` is set where it failed. `at` is the same each time it is asked."""

    outcome: Literal["settled", "failed", "action_required"]
    payment_id: str
    at: datetime
    reason: FailureReason = "error"


class GatewayUnavailableError(Exception):
    """The gateway gave no answer. It may have taken the money: ask again with the same idempotency key."""


class GatewayRefusedError(Exception):
    """The gateway does not accept this worker at all. The message says what an operator has to do."""


class Gateway(Protocol):
    """Takes payments. `meter/payments/worker.py` is the caller; several requests are asked at a time."""

    async def pay(self, request: PaymentRequest) -> Answer | None:
        """Take a payment, or return the answer of before to the same idempotency key.

        None means that the answer comes later by another way. Raises GatewayUnavailableError, GatewayRefusedError.
        """


def command_of(request: PaymentRequest, answer: Answer) -> AnyPaymentCommand:
    """Return the command that tells a wallet about an answer. A repeat of the answer gives the same command."""
    workspace_id, order_id, payment_id = request.workspace_id, request.order_id, answer.payment_id
    command_id = digest(workspace_id, order_id, str(request.attempt), answer.outcome).hex()
    match answer.outcome:
        case "settled":
            settled = SettledData(
                workspace_id=workspace_id,
                order_id=order_id,
                payment_id=payment_id,
                amount_micros=request.amount_micros,
            )
            return PaymentSettled(specversion="1.0", id=command_id, source=SOURCE, time=answer.at, data=settled)
        case "failed":
            failed = FailedData(
                workspace_id=workspace_id, order_id=order_id, payment_id=payment_id, reason=answer.reason
            )
            return PaymentFailed(specversion="1.0", id=command_id, source=SOURCE, time=answer.at, data=failed)
        case "action_required":
            action = ActionData(workspace_id=workspace_id, order_id=order_id, payment_id=payment_id)
            return PaymentActionRequired(specversion="1.0", id=command_id, source=SOURCE, time=answer.at, data=action)
