"""The rulings that a deployment may set otherwise (DOMAIN, marked R there)."""

from typing import Literal

import msgspec

from schemas.instants import DAY_MS, MINUTE_MS
from schemas.money import STANDARD_CONVERSATION_MICROS, STANDARD_FREE_GRANT_MICROS


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Durations in milliseconds, money in micro-dollars."""

    gap_ms: int = 15 * MINUTE_MS
    """Inactivity that ends a conversation, and the length of an Enterprise session."""
    horizon_ms: int = DAY_MS
    """How far behind the newest event a message may arrive and still count."""
    future_ms: int = 5 * MINUTE_MS
    """How far ahead of its own arrival an event's time may be."""
    grant_life_ms: int = 90 * DAY_MS
    unknown_workspace: Literal["provision", "hold"] = "provision"
    debit_order: Literal["free_first", "paid_first"] = "free_first"
    conversation_micros: int = STANDARD_CONVERSATION_MICROS
    free_grant_micros: int = STANDARD_FREE_GRANT_MICROS
