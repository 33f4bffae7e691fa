"""Bytewax's session windows, run in this process.

Its watermark is kept per key: the newest time of the key less `wait_ms`. What is older than that is late to it. Its own
clock stands still, so that a run depends on the feed alone.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.operators.windowing import EventClock, SessionWindower, WindowMetadata, fold_window
from bytewax.testing import TestingSink, TestingSource, run_main

from tests.engines.cases import Span

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def sessions_of(messages: Iterable[tuple[str, int]], gap_ms: int, wait_ms: int) -> tuple[Counter[Span], int]:
    """Its windows over (key, time) in order of arrival, and how many messages were late to it.

    Messages are folded as they arrive, not sorted first, so that its own merging is at work.
    """
    flow = Dataflow("sessions")
    arrivals = [(key, EPOCH + at_ms * MILLISECOND) for key, at_ms in messages]
    clock = EventClock(_itself, wait_ms * MILLISECOND, now_getter=lambda: EPOCH, to_system_utc=lambda _: None)
    windowed = fold_window(
        "sessionize",
        op.input("messages", flow, TestingSource(arrivals)),
        clock,
        SessionWindower(gap_ms * MILLISECOND),
        builder=lambda: 0,
        folder=lambda count, _: count + 1,
        merger=lambda one, other: one + other,
        ordered=False,
    )
    counts: list[tuple[str, tuple[int, int]]] = []
    windows: list[tuple[str, tuple[int, WindowMetadata]]] = []
    late: list[tuple[str, tuple[int, datetime]]] = []
    op.output("counts", windowed.down, TestingSink(counts))
    op.output("windows", windowed.meta, TestingSink(windows))
    op.output("late", windowed.late, TestingSink(late))
    run_main(flow)
    count_of = {(key, window): count for key, (window, count) in counts}
    return Counter(
        (key, _ms(meta.open_time), _ms(meta.close_time), count_of[key, window]) for key, (window, meta) in windows
    ), len(late)


def _itself(at: datetime) -> datetime:
    return at


def _ms(at: datetime) -> int:
    return (at - EPOCH) // MILLISECOND
