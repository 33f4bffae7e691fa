"""Feeds: files of CloudEvents, one a line, written to Kafka as bot runtimes and the console would write them."""

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
from meter.core.sessions.sessionize import Rejected
from meter.kafka.records import Record
from meter.kafka.topics import Delivery, delivered
from meter.stage.ports import Clock, Topics
from schemas.commands import COMMAND_PREFIX
from schemas.events import ClockTick, decode_event, encode_tick
from schemas.instants import to_ms
from schemas.metered import decode_wallet_input
from schemas.topics import CHAT_EVENTS, WALLET_INPUTS

CHUNK_LINES: Final = 10_000
FUTURE_MS: Final = Policy().future_ms


class FeedError(Exception):
    """A feed cannot be read; the message says which and why."""


class Line(NamedTuple):
    """One line of a feed. `at_ms` is its event time, None where it has none that counts; `key` is its workspace."""

    value: bytes
    is_command: bool
    at_ms: int | None
    key: bytes


def read_feeds(paths: Iterable[Path], on_bytes: Callable[[int], None] = lambda _: None) -> Iterator[Line]:
    """The lines of all files, merged by time; of one instant, commands first. `on_bytes` hears of bytes read.

    Each file keeps its own order, and a line without a readable time its place. Raises FeedError.
    """
    feeds = [_keyed(index, _lines(path, on_bytes)) for index, path in enumerate(paths)]
    for _, line in heapq.merge(*feeds, key=lambda keyed: keyed[0]):
        yield line


def _keyed(index: int, values: Iterable[bytes]) -> Iterator[tuple[tuple[int, bool, int], Line]]:
    at_ms = 0
    for value in values:
        line = _classify(value)
        if line.at_ms is not None and _counts(line.at_ms):
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
        raise FeedError(f"the feed {path} cannot be read: {_why(error)}. Give the path of a file of events.") from error


def _why(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "it ends in the middle"
    return getattr(error, "strerror", None) or str(error)


def _classify(value: bytes) -> Line:
    event = read(value, decode_event)
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
    """The top level of a line that is no valid event, as far as it is JSON at all."""
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _command_time(value: bytes) -> int | None:
    command = read(value, decode_wallet_input)
    return None if isinstance(command, Rejected) or not hasattr(command, "time") else to_ms(command.time)


class Feeder:
    """Writes lines to Kafka as they are, and sees that cause comes before effect.

    Commands go to the wallets' log and are acknowledged before any later event leaves. A line that is later than the
    horizon allows is late wherever it lands: its partition is first told how far the feed's event time has come.
    """

    def __init__(self, topics: Topics, policy: Policy, clock: Clock = time) -> None:
        self._topics = topics
        self._policy = policy
        self._clock = clock
        self.end_ms: int | None = None
        self.written = 0
        self._newest_ms = 0
        self._told_ms: dict[int, int] = {}
        self._events: list[tuple[int, Record]] = []
        self._commands: list[Record] = []

    async def feed(self, lines: Iterable[Line], on_written: Callable[[int], None] = lambda _: None) -> None:
        """Write all lines."""
        for line in lines:
            if line.is_command:
                await self._flush_events()
                self._commands.append(Record(line.key, line.value))
            else:
                await self._flush_commands()
                await self._add_event(line)
            self._note_time(line)
            if len(self._events) >= CHUNK_LINES:
                on_written(len(self._events))
                await self._flush_events()
        on_written(len(self._events) + len(self._commands))
        await self._flush_commands()
        await self._flush_events()

    async def close(self) -> None:
        """Move event time to the feed's end, in every partition, and say that it is the end: conversations close."""
        if self.end_ms is not None:
            final = Record(None, encode_tick(self.end_ms, final=True))
            for partition in range(await self._topics.partitions(CHAT_EVENTS.name)):
                await self._topics.write(CHAT_EVENTS.name, partition, [final])

    async def _add_event(self, line: Line) -> None:
        partition = await self._topics.partition_of(CHAT_EVENTS.name, line.key)
        if line.at_ms is not None and _counts(line.at_ms, self._clock):
            told_ms = self._told_ms.get(partition, 0)
            if line.at_ms < self._newest_ms - self._policy.horizon_ms and told_ms < self._newest_ms:
                self._events.append((partition, Record(None, encode_tick(self._newest_ms))))
                told_ms = self._newest_ms
            self._told_ms[partition] = max(told_ms, line.at_ms)
        self._events.append((partition, Record(line.key or None, line.value)))

    def _note_time(self, line: Line) -> None:
        if line.at_ms is not None and _counts(line.at_ms, self._clock):
            if not line.is_command:
                self._newest_ms = max(self._newest_ms, line.at_ms)
            self.end_ms = max(self.end_ms or 0, line.at_ms)

    async def _flush_events(self) -> None:
        events, self._events = self._events, []
        by_partition: dict[int, list[Record]] = {}
        for partition, record in events:
            by_partition.setdefault(partition, []).append(record)
        deliveries: list[Delivery] = []
        for partition, records in by_partition.items():
            deliveries += await self._topics.append(CHAT_EVENTS.name, partition, records)
        await delivered(deliveries)
        self.written += len(events)

    async def _flush_commands(self) -> None:
        if self._commands:
            commands, self._commands = self._commands, []
            await delivered(await self._topics.append_keyed(WALLET_INPUTS.name, commands))
            self.written += len(commands)


def _counts(at_ms: int, clock: Clock = time) -> bool:
    """Whether a time is not in the future, where it would be refused."""
    return at_ms <= clock.time() * 1000 + FUTURE_MS
