"""Bytes of the kernel's memory for the id of an accepted event, by the kernel's own count."""

from collections.abc import Iterator
from typing import Final

from aiokafka import ConsumerRecord

from meter.core.policy import Policy
from schemas.instants import HOUR_MS, rfc3339
from tests.sessionizer_engines import kernel

START_MS: Final = 1_788_739_200_000
BATCH: Final = 4_000


def id_bytes(ids: int, gap_ms: int, late_every: int = 0) -> float:
    """All that a kernel holds for messages of one user, `gap_ms` apart, over their number.

    One in `late_every` is two hours late, if that is not 0.
    """
    engine = kernel(Policy(), 0)
    empty_bytes = engine.held_bytes  # type: ignore[attr-defined]
    for start in range(0, ids, BATCH):
        engine.process(list(records(start, min(start + BATCH, ids), gap_ms, late_every)))
        list(engine.changed())
    held_bytes: int = engine.held_bytes - empty_bytes  # type: ignore[attr-defined]
    return held_bytes / engine.ids


def records(start: int, end: int, gap_ms: int, late_every: int) -> Iterator[ConsumerRecord]:
    """Messages `start` to `end`."""
    for number in range(start, end):
        is_late = late_every and number % late_every == 0
        at_ms = START_MS + gap_ms * number - 2 * HOUR_MS * bool(is_late and number)
        value = (
            f'{{"specversion":"1.0","id":"{number:016x}","source":"/runtime","type":"chat.message",'
            f'"time":"{rfc3339(at_ms)}","data":{{"workspace_id":"w","bot_id":"b","channel":"web",'
            f'"channel_user_id":"u","direction":"in","actor":"user"}}}}'
        ).encode()
        yield ConsumerRecord("chat-events", 0, number, at_ms + 3 * HOUR_MS, 0, b"w", value, None, -1, len(value), ())
