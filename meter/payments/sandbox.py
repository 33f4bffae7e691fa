"""A payment gateway that moves no money. Its answer follows from the request alone, so a replay has the same."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from meter.payments.gateway import Answer
from schemas.ids import digest
from schemas.payment_commands import FailureReason
from schemas.payments import PaymentRequest

SLOW_S: Final = 5.0
"""How long `sandbox_slow` takes before it settles."""

_FAILURES: Final[Mapping[str, FailureReason]] = {
    "sandbox_declined": "declined",
    "sandbox_expired": "expired",
    "sandbox_error": "error",
}


class Sandbox:
    """Settles every payment at the request's own time, unless the method says otherwise.

    `sandbox_declined`, `sandbox_expired` and `sandbox_error` fail for that reason, `sandbox_action` waits for the payer
    for ever, `sandbox_slow` settles late. `sandbox_ok` and any other method settle at once.
    """

    def __init__(self, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._sleep = sleep

    async def pay(self, request: PaymentRequest) -> Answer | None:
        """Return the answer. It is never None."""
        payment_id = f"sandbox_{digest(request.idempotency_key).hex()}"
        reason = _FAILURES.get(request.method_id)
        if reason is not None:
            return Answer(outcome="failed", payment_id=payment_id, at=request.requested_at, reason=reason)
        if request.method_id == "sandbox_action":
            return Answer(outcome="action_required", payment_id=payment_id, at=request.requested_at)
        if request.method_id == "sandbox_slow":
            await self._sleep(SLOW_S)
        return Answer(outcome="settled", payment_id=payment_id, at=request.requested_at)
