"""Records of the topic `payment-requests`: the payments that a gateway has to take, one record each."""

from typing import Annotated, Final

import msgspec

from schemas import formats
from schemas.events import Instant, Name
from schemas.payment_commands import PaymentMethod

FIRST_ATTEMPT: Final = 1


class PaymentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One payment of `amount_micros`, in whole cents, for an order. A record that is written again is the same.

    A gateway that is given one `idempotency_key` twice takes the money once. `attempt` is 1, except for an auto-reload
    after others in a row that failed. `method_id` is "" where the payer has to choose on the gateway's own form.
    `bot_id` is None for the credit that all bots share. `requested_at` is event time.
    """

    workspace_id: Name
    order_id: Name
    bot_id: Name | None
    amount_micros: Annotated[int, msgspec.Meta(gt=0, le=10**15)]
    method: PaymentMethod
    method_id: Annotated[str, msgspec.Meta(max_length=512)] = ""
    attempt: Annotated[int, msgspec.Meta(ge=FIRST_ATTEMPT, le=2**53)] = FIRST_ATTEMPT
    idempotency_key: Name
    requested_at: Instant
    format: formats.PaymentRequest = formats.PAYMENT_REQUEST_FORMAT


encode_payment_request = msgspec.json.Encoder().encode
decode_payment_request = msgspec.json.Decoder(PaymentRequest).decode
"""bytes -> PaymentRequest. Raises msgspec.MsgspecError, UnicodeDecodeError, RecursionError or ValueError."""
