"""One partition of a state topic in memory, and processes that keep a small state there and crash."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from aiokafka import ConsumerRecord

from meter.kafka.records import Record
from meter.stage.blocks import Loading, Sweep, pack
from meter.stage.checkpoints import Checkpoints, Restored
from meter.stage.mark import Life, decode_mark
from schemas.topic_identity import TopicIdentity
from schemas.topics import CHAT_EVENTS, CONVERSATION_STATE
from tests.properties.memory_log import stored

LIFE = Life(0, TopicIdentity("cluster", "source", 1), TopicIdentity("cluster", "state", 1))

Changes = dict[bytes, bytes | None]
T = TypeVar("T")


class CrashError(Exception):
    """The process is gone."""


class MemoryStateTopic:
    """The partition; the process that writes to it ends after `allowed` more records."""

    def __init__(self, records: Iterable[ConsumerRecord] = ()) -> None:
        self.records = list(records)
        self.allowed: int | None = None

    async def write_one(self, topic: str, partition: int, record: Record) -> int:
        await self.write(topic, partition, [record])
        return int(self.records[-1].offset)

    async def read(self, topic: str, partition: int, start: int, end: int) -> AsyncIterator[Sequence[ConsumerRecord]]:  # noqa: ARG002 - the shape of `Topics`
        """In small fetches."""
        wanted = [record for record in self.records if start <= record.offset <= end]
        for at in range(0, len(wanted), 5):
            yield wanted[at : at + 5]

    async def write(self, topic: str, partition: int, records: Iterable[Record]) -> None:
        for record in records:
            if self.allowed == 0:
                raise CrashError
            if self.allowed is not None:
                self.allowed -= 1
            offset = self.records[-1].offset + 1 if self.records else 0
            self.records.append(stored(topic, partition, offset, record))

    def compact(self, how: str) -> None:
        """Keep the last record of each Kafka key, as a broker does in the end; of tombstones, after a while, none."""
        if how != "no":
            last = {record.key: record for record in self.records}
            kept = sorted(last.values(), key=lambda record: int(record.offset))
            self.records = [record for record in kept if how == "last of each key" or record.value is not None]

    def marks(self) -> list[int]:
        """The offsets of the marks that are there, in their order."""
        marks = [bytes(record.value) for record in self.records if record.key[:1] == b"m" and record.value]
        return [int(decode_mark(value, "here").fold.split()[-1]) for value in marks]

    def live(self) -> list[bytes]:
        """What compaction would leave of the blocks, in the end."""
        last = {record.key: record.value for record in self.records}
        return [value for key, value in last.items() if value is not None and key[:1] == b"b"]


COMPACTION = ["no", "last of each key", "no tombstones either"]


class Table:
    """A small state; its mark is the input offset."""

    spills = False

    def __init__(self) -> None:
        self.now: dict[bytes, bytes] = {}
        self.offset = -1
        self._unsaved: Changes = {}
        self._loading = Loading()
        self._sweep = Sweep(lambda: [self.now], lambda key: self.now.get(key))

    def change(self, offset: int, changes: Changes) -> None:
        self.offset = offset
        self._unsaved |= changes
        self.now = {key: value for key, value in (self.now | changes).items() if value is not None}

    def changed(self) -> Iterator[bytes]:
        """A block a key, so that a crash can come between any two."""
        unsaved, self._unsaved = self._unsaved, {}
        return (block for entry in unsaved.items() for block in pack([entry]))

    def sweep(self, size_bytes: int) -> tuple[bytes, bool]:
        return self._sweep.next(size_bytes)

    def mark(self) -> bytes:
        return f" mark {self.offset}".encode()

    def load(self, offset: int, block: bytes) -> None:
        self._loading.load(offset, block)

    def finish(self, mark: bytes | None, floor: int) -> None:
        assert (mark is None) == (floor == -1 and self.offset == -1 and mark is None)
        self.now = self._loading.finish(floor)
        self.offset = int(mark.split()[-1]) if mark else -1


async def held() -> bool:
    """No other owner has the partition."""
    return True


async def lost() -> bool:
    """Another owner has it."""
    return False


class Process:
    """It restores what it finds, to begin with; it does not crash in that."""

    def __init__(self, log: MemoryStateTopic) -> None:
        self.table = Table()
        self.checkpoints = Checkpoints(log, CHAT_EVENTS, CONVERSATION_STATE, 0, LIFE)  # type: ignore[arg-type]
        allowed, log.allowed = log.allowed, None
        self.restored: Restored = done(self.checkpoints.restore(self.table))
        log.allowed = allowed

    def save(self, offset: int, changes: Changes, may_go_on: Callable[[], Awaitable[bool]] = held) -> None:
        """Take in what changed up to `offset`, and write a checkpoint."""
        self.table.change(offset, changes)
        done(self.checkpoints.write(offset, self.table, may_go_on))


def restored(log: MemoryStateTopic) -> tuple[int, dict[bytes, bytes]]:
    """What a new process finds: up to which offset, and what."""
    log.allowed = None
    process = Process(log)
    assert process.restored.offset == process.table.offset
    return process.restored.offset, process.table.now


def done(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run what never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("this was not to wait for anything")


A, B, C = b"a", b"b", b"c"
HISTORY: list[tuple[int, Changes]] = [
    (3, {A: b"a3", B: b"b3"}),
    (7, {A: b"a7"}),
    (8, {B: None, C: b"c8"}),
    (12, {A: b"a12", B: b"b12"}),
    (13, {A: None, B: None}),
    (20, {C: b"c20", A: b"a20"}),
    (21, {}),
    (30, {A: None, C: b"c30"}),
]
"""(offset, what changed by then); each key is written more than twice, ends and comes back."""


def truth(last: int) -> dict[bytes, bytes]:
    """What the history comes to as of the mark `last`."""
    table = Table()
    for offset, changes in HISTORY:
        if offset <= last:
            table.change(offset, changes)
    return table.now


def written(history: list[tuple[int, Changes]]) -> MemoryStateTopic:
    """The log of a process that has saved all of a history."""
    log = MemoryStateTopic()
    process = Process(log)
    for offset, changes in history:
        process.save(offset, changes)
    return log
