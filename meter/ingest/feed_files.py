"""Reading feeds: CloudEvents in JSON, one a line; several files are merged by event time."""

import heapq
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from meter.core.decode import sort
from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.ingest.feed_lines import lines
from meter.stage.ports import Clock
from schemas.instants import to_ms
from schemas.policy import PolicyRecord

FUTURE_MS: Final = Policy().future_ms
"""How far an event's time may be ahead of the clock. The meter refuses an event with a later time."""


class Line(NamedTuple):
    """One line of a feed, without its line end.

    `at_ms` is its event time in milliseconds since 1970, None if the line cannot be decoded. `key` is its workspace's
    id, empty if it names none.
    """

    value: bytes
    is_command: bool
    at_ms: int | None
    key: bytes


def read_feeds(paths: Iterable[Path], on_bytes: Callable[[int], None] = lambda _: None) -> Iterator[Line]:
    """Yield the lines of all files, merged by event time. At the same time, commands come before events.

    Each file keeps its own order. A line without a time, or with a time in the future, stays behind the line before
    it. `on_bytes` is called with bytes read (`lines`). Raises FeedError.
    """
    feeds = [_with_merge_keys(index, lines(path, on_bytes)) for index, path in enumerate(paths)]
    for _, line in heapq.merge(*feeds, key=lambda keyed: keyed[0]):
        yield line


def _with_merge_keys(index: int, values: Iterable[bytes]) -> Iterator[tuple[tuple[int, bool, int], Line]]:
    """Yield each line with its merge key: event time, commands first, then the file's place in the list of files."""
    at_ms = 0
    for value in values:
        line = classify(value)
        if line.at_ms is not None and not is_future(line.at_ms):
            at_ms = line.at_ms
        yield (at_ms, not line.is_command, index), line


def classify(value: bytes) -> Line:
    """Read a line as the stages will: where it belongs, its time and its key."""
    envelope, found = sort(value)
    if isinstance(found, PolicyRecord):
        return Line(value, False, None, b"")
    at_ms = None if isinstance(found, Rejected) else to_ms(found.time)
    return Line(value, envelope.is_command, at_ms, envelope.workspace_id.encode())


def is_future(at_ms: int, clock: Clock = time) -> bool:
    """Tell whether the meter would refuse an event of this time as a future one, if it arrived now."""
    return at_ms > clock.time() * 1000 + FUTURE_MS
