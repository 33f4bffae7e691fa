"""The rulings of the project that the rules take as parameters (DOMAIN, marked R there)."""

from typing import Literal

import msgspec

from schemas.instants import DAY_MS, MINUTE_MS
from schemas.money import STANDARD_CONVERSATION_MICROS, STANDARD_FREE_GRANT_MICROS


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of the rules: durations in milliseconds, money in micro-dollars.

    A deployment sets `horizon_ms`, `unknown_workspace` and `debit_order` by environment variables
    (`meter/settings.py`). The other fields keep their defaults outside tests.
    """

    gap_ms: int = 15 * MINUTE_MS
    """The longest silence within one conversation, and the length of an Enterprise session."""
    horizon_ms: int = DAY_MS
    """The late horizon: an event that is further behind the watermark is refused."""
    future_ms: int = 5 * MINUTE_MS
    """The most that an event's time may be ahead of its arrival at Kafka."""
    grant_life_ms: int = 90 * DAY_MS
    """The term of a free grant whose command names no expiry."""
    unknown_workspace: Literal["provision", "hold"] = "provision"
    """For a workspace that no command created: make it a Standard one, or meter it without charging."""
    debit_order: Literal["free_first", "paid_first"] = "free_first"
    conversation_micros: int = STANDARD_CONVERSATION_MICROS
    """The price of a conversation on Standard."""
    free_grant_micros: int = STANDARD_FREE_GRANT_MICROS
    """The initial grant on Standard, if the command names no other."""
