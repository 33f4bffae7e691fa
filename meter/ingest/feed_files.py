"""Reading feed files: CloudEvents in JSON, one a line, plain or gzipped; several files are merged by event time."""

import gzip
import heapq
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, cast

import orjson

from meter.core.decode import read
from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.stage.ports import Clock
from schemas.commands import COMMAND_PREFIX
from schemas.events import ClockTick, decode_event
from schemas.instants import to_ms
from schemas.metered import decode_wallet_input
from schemas.policy import PolicyRecord

FUTURE_MS: Final = Policy().future_ms
"""How far an event's time may be ahead of the clock. The meter refuses an event with a later time."""


class FeedError(Exception):
    """A feed cannot be read; the message names the file and the cause."""


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
    it. `on_bytes` is called about every 1,000 lines with the bytes read since the last call, compressed if the file
    is. Raises FeedError.
    """
    feeds = [_with_merge_keys(index, _lines(path, on_bytes)) for index, path in enumerate(paths)]
    for _, line in heapq.merge(*feeds, key=lambda keyed: keyed[0]):
        yield line


def _with_merge_keys(index: int, values: Iterable[bytes]) -> Iterator[tuple[tuple[int, bool, int], Line]]:
    """Yield each line with its merge key: event time, commands first, then the file's place in the list of files."""
    at_ms = 0
    for value in values:
        line = _classify(value)
        if line.at_ms is not None and not is_future(line.at_ms):
            at_ms = line.at_ms
        yield (at_ms, not line.is_command, index), line


def _lines(path: Path, on_bytes: Callable[[int], None]) -> Iterator[bytes]:
    try:
        with path.open("rb") as raw:
            opened = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw
            before = 0
            for number, line in enumerate(opened):
                if number % 1000 == 0:
                    on_bytes(raw.tell() - before)
                    before = raw.tell()
                yield line.removesuffix(b"\n").removesuffix(b"\r")
            on_bytes(raw.tell() - before)
    except (OSError, EOFError, zlib.error) as error:
        raise FeedError(
            f"the feed {path} cannot be read: {_cause(error)}. Give the path of a file of events."
        ) from error


def _cause(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "it ends in the middle"
    return getattr(error, "strerror", None) or str(error)


def _classify(value: bytes) -> Line:
    event = read(value, decode_event)
    if isinstance(event, PolicyRecord):
        return Line(value, False, None, b"")
    if isinstance(event, ClockTick):
        return Line(value, False, to_ms(event.time), b"")
    if not isinstance(event, Rejected):
        return Line(value, False, to_ms(event.time), event.data.workspace_id.encode())
    envelope = _peek(value)
    kind, data = envelope.get("type"), envelope.get("data")
    is_command = isinstance(kind, str) and kind.startswith(COMMAND_PREFIX)
    workspace_id = data.get("workspace_id") if isinstance(data, dict) else None
    key = workspace_id.encode("utf-8", "replace") if isinstance(workspace_id, str) else b""
    return Line(value, is_command, _command_time(value) if is_command else None, key)


def _peek(value: bytes) -> dict[str, object]:
    """Return the top level of a line that is no valid event; empty unless it is a JSON object."""
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _command_time(value: bytes) -> int | None:
    command = read(value, decode_wallet_input)
    return None if isinstance(command, Rejected) or not hasattr(command, "time") else to_ms(command.time)


def is_future(at_ms: int, clock: Clock = time) -> bool:
    """Tell whether the meter would refuse an event of this time as a future one, if it arrived now."""
    return at_ms > clock.time() * 1000 + FUTURE_MS
