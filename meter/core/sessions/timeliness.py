"""The refusals of an event for its time: in the future of its arrival, before 1970, or late (DOMAIN, Metering 6)."""

from meter.core.policy import Policy
from meter.core.rejection import Rejected
from schemas.events import ChatEvent, ClockTick
from schemas.instants import HOUR_MS, rfc3339


def untimely(event: ChatEvent | ClockTick, at_ms: int, received_ms: int, policy: Policy) -> Rejected | None:
    """The refusal of an event that is in the future or before 1970, regardless of earlier events; else None."""
    if at_ms > received_ms + policy.future_ms:
        ahead_s = (at_ms - received_ms) / 1000
        return Rejected("future", f"time: {rfc3339(at_ms)} is {ahead_s:.3f} s ahead of its arrival")
    if at_ms < 0 and not isinstance(event, ClockTick):
        return Rejected("too_old", f"time: {rfc3339(at_ms)} is before 1970 and cannot be metered")
    return None


def late(at_ms: int, watermark_ms: int, floor_ms: int, policy: Policy) -> Rejected:
    """The refusal of an event that is older than the late horizon, or than `floor_ms`. The caller compared the times.

    `floor_ms` is the earliest time that was not late when the horizon became longer.
    """
    behind_h = (watermark_ms - at_ms) / HOUR_MS
    horizon_h = policy.horizon_ms / HOUR_MS
    limit = f"the late horizon is {horizon_h:g} h"
    if at_ms >= watermark_ms - policy.horizon_ms:
        limit = f"it was late before the late horizon became {horizon_h:g} h, which reaches back to {rfc3339(floor_ms)}"
    return Rejected("late", f"time: {rfc3339(at_ms)} is {behind_h:.3f} h behind the newest event; {limit}")
