"""Whether an event that is put back would be in the future, and how far event time has come where it goes."""

from typing import Final

from meter.core.decode import read
from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.kafka import reader
from schemas.events import decode_event
from schemas.instants import rfc3339, to_ms
from schemas.policy import PolicyRecord
from schemas.topics import CHAT_EVENTS

TAIL_RECORDS: Final = 1_000
"""How many of a partition's last records are read to learn how far its event time has come."""


def out_of_time(at_ms: int, policy: Policy, now_ms: int) -> Rejected | None:
    """Return the rejection of an event that would be in the future if it arrived at `now_ms`; else None."""
    if at_ms <= now_ms + policy.future_ms:
        return None
    return Rejected("future", f"time: {rfc3339(at_ms)} is {(at_ms - now_ms) / 1000:.3f} s ahead of its arrival")


async def newest_ms(bootstrap: str, partition: int, policy: Policy) -> int:
    """Return the newest event time among a partition's last TAIL_RECORDS records; 0 if none has one.

    The partition's watermark is at least this. Future events are left out, because the meter refuses them.
    """
    reached_ms = 0
    async for record in reader.tail(bootstrap, CHAT_EVENTS, partition, TAIL_RECORDS):
        event = read(record.value, decode_event)
        if not isinstance(event, Rejected | PolicyRecord) and to_ms(event.time) <= record.timestamp + policy.future_ms:
            reached_ms = max(reached_ms, to_ms(event.time))
    return reached_ms
