"""The policy record: what decides money, as data in the logs (docs/adr/0028).

The topic `policies` holds every version, in order. A copy goes to each partition of chat-events, where the version
takes effect at the offset of its first copy. The sessionizer writes it on to the partition of wallet-inputs with the
same number, and it takes effect there at its offset. A copy of a version that is not newer changes nothing.
"""

from typing import Annotated, Final, Literal

import msgspec

from schemas.instants import DAY_MS, HOUR_MS

UnknownWorkspace = Literal["provision", "hold"]
DebitOrder = Literal["free_first", "paid_first"]
ChargesHeld = Literal["at_once", "in_slices"]

FIRST_VERSION: Final = 1
MAX_HORIZON_MS: Final = 8_760 * HOUR_MS
MAX_GRANT_LIFE_MS: Final = 36_500 * DAY_MS
MAX_MICROS: Final = 10**15

_Hex = Annotated[str, msgspec.Meta(max_length=64)]
_Micros = Annotated[int, msgspec.Meta(ge=0, le=MAX_MICROS)]


class PolicyRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="meter.policy"):
    """One version of the policy. The fields are those of `meter.core.policy.Policy` that may change.

    The version after `version` has that number plus 1. Times are in milliseconds, money in micro-dollars.

    `charges_held` says how the wallets charge what was held, if this version provisions what the one before it held. It
    is `at_once` in the records of earlier versions of the product, so that their logs keep their meaning.

    `seal_key` is in the first record of the topic `policies` and in no other record: a random text that only the
    product can read. `seal` proves that the writer knows it: any client can write chat-events, and must not set prices.
    """

    version: Annotated[int, msgspec.Meta(ge=FIRST_VERSION, le=2**53)]
    horizon_ms: Annotated[int, msgspec.Meta(ge=1, le=MAX_HORIZON_MS)]
    unknown_workspace: UnknownWorkspace
    debit_order: DebitOrder
    conversation_micros: _Micros
    free_grant_micros: _Micros
    grant_life_ms: Annotated[int, msgspec.Meta(ge=1, le=MAX_GRANT_LIFE_MS)]
    charges_held: ChargesHeld = "at_once"
    seal: _Hex = ""
    seal_key: _Hex = ""


encode_policy = msgspec.json.Encoder().encode
decode_policy = msgspec.json.Decoder(PolicyRecord).decode
"""bytes -> PolicyRecord. Raises the same errors as `schemas.events.decode_event`."""
