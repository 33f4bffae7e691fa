"""Records of the compacted topic `entitlements`: what a bot may do, for its runtime. The newest one of a bot counts.

The key of a record is `WORKSPACE_ID/BOT_ID`. Of two records of one bot the one with the higher version counts, wherever
they lie: a worker that was paused and superseded may write an older one later.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from schemas import formats
from schemas.commands import PlanName
from schemas.notices import BotStatus

EntitlementReason = Literal["free_credit", "paid_credit", "contract", "reload_in_flight", "no_credit"]
"""What lets a bot answer: the credit that pays its next unit, a reload that is on its way, or nothing."""

EXACT_UNITS: Final = 8
"""Below this number of allowed units each change of it is a record; above it there are four records a doubling."""


class EntitlementRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to what one bot may do, as of version `version` of wallet-inputs. Money is in micro-dollars.

    A record is written when an answer in it has changed, so its amounts are those of that moment. `available_micros` is
    all that the bot can spend: `free_micros`, `designated_micros`, `shared_micros` (below 0 where the workspace has
    overdrawn) and what its contract allows. `allowed_units` is how many units that covers; None where a unit costs
    nothing. Fewer may be left by now: up to a fifth of them, and none of them where there are fewer than EXACT_UNITS.
    `as_of` is the workspace's event time, RFC 3339 in UTC; "" before its first event.
    """

    workspace_id: str
    bot_id: str
    active: bool
    status: BotStatus
    reason: EntitlementReason
    plan: PlanName
    available_micros: int
    free_micros: int
    designated_micros: int
    shared_micros: int
    allowed_units: int | None
    attribution: bool
    limits: Mapping[str, int | str]
    features: Mapping[str, bool]
    as_of: str
    version: int
    proactive_over_limit: bool = False
    published: bool = False
    format: formats.Entitlement = formats.ENTITLEMENT_FORMAT


def entitlement_key(workspace_id: str, bot_id: str) -> bytes:
    """Return the key of a bot's records."""
    return f"{workspace_id}/{bot_id}".encode()


encode_entitlement = msgspec.json.Encoder().encode
decode_entitlement = msgspec.json.Decoder(EntitlementRecord).decode
"""bytes -> EntitlementRecord. Raises msgspec.MsgspecError, UnicodeDecodeError, RecursionError or ValueError."""
