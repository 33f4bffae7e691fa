"""The state of a partition as a compacted topic holds it: checkpoints that are there whole or not at all.

A checkpoint is blocks of what changed and then one mark. Restoring takes, of every key, the entry of the newest
checkpoint that is not newer than the newest mark: the state as of exactly that input offset, however far the next
checkpoint had come before a crash.

Nothing is ever overwritten: each record has a Kafka key of its own, which holds its owner's name. So that the log does
not grow for ever, each checkpoint also writes, in turn, a part of what did not change. Once such a sweep has been
through all of it, whatever was written before it began is superfluous: it is removed, and the mark says that it does
not count, should a superseded worker's late word of that time be found there yet (docs/adr/0005).
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Final, NamedTuple

from aiokafka import ConsumerRecord

from meter.kafka.records import Record
from meter.stage.blocks import BLOCK_BYTES
from meter.stage.fold import State
from meter.stage.ports import Topics
from schemas.topics import Topic

_FENCE: Final = b"f"
_MARK: Final = b"m"
_BLOCK: Final = b"b"
_NUMBER_BYTES: Final = 8
_OFFSET: Final = "offset"

SWEEP_BYTES: Final = 1024
SWEEP_SHARE: Final = 256
"""Beside as much as has changed a checkpoint writes this much of the rest: some bytes, and a share of the log's."""


class SupersededError(Exception):
    """The partition is another worker's by now; nothing more may be written."""


class Restored(NamedTuple):
    """`offset` is the last input offset that the state includes; -1 without a checkpoint. `blocks` were read."""

    offset: int
    blocks: int


class Checkpoints:
    """Writes and restores the checkpoints of one partition of a state topic. `restore` makes this worker its owner."""

    def __init__(self, topics: Topics, topic: Topic, partition: int) -> None:
        self._topics = topics
        self._topic = topic.name
        self._partition = partition
        self._owner = b""
        self._reached = -1
        """The broker's offset of this owner's last fence or mark."""
        self._written = 0
        self._standing: dict[bytes, _Block] = {}
        """The blocks that are in the log."""
        self._standing_bytes = 0
        self._marks: dict[bytes, int] = {}
        """Of each mark that is in the log, the input offset as of which it was written."""
        self._floor = -1
        """Whatever was written as of this offset, or before, does not count any more."""
        self._next_floor = -1
        """The newest mark when the present sweep began."""

    async def write(self, offset: int, state: State, may_go_on: Callable[[], Awaitable[bool]]) -> int:
        """Write a checkpoint of `state` as of input `offset`. Returns how many bytes it has.

        Raises SupersededError if, with all but the mark written, `may_go_on` says no: the checkpoint then does not
        count, and these checkpoints are not to be used any more.
        """
        assert self._owner, "restore() comes first"
        size = await self._write_blocks(offset, state.changed())
        sweep = _Sweep(state, size + SWEEP_BYTES + self._standing_bytes // SWEEP_SHARE)
        size += await self._write_blocks(offset, sweep.blocks())
        if not await may_go_on():
            raise SupersededError(f"{self._topic}/{self._partition}")
        if sweep.is_over:
            self._floor, self._next_floor = self._next_floor, offset
        mark = self._floor.to_bytes(_NUMBER_BYTES, "big", signed=True) + state.mark()
        record_key = self._next_record_key(_MARK)
        self._reached = await self._write_one(Record(record_key, mark, _as_of(offset)))
        await self._clear_up(offset)
        self._marks[record_key] = offset
        return size + len(mark)

    async def _write_blocks(self, offset: int, blocks: Iterable[bytes]) -> int:
        size = 0

        def records() -> Iterator[Record]:
            nonlocal size
            for block in blocks:
                size += len(block)
                record_key = self._next_record_key(_BLOCK)
                self._stands(record_key, _Block(offset, len(block)))
                yield Record(record_key, block, _as_of(offset))

        await self._topics.write(self._topic, self._partition, records())
        return size

    def _next_record_key(self, kind: bytes) -> bytes:
        """A Kafka key that nobody has used."""
        self._written += 1
        return b"".join((kind, self._owner, self._written.to_bytes(_NUMBER_BYTES, "big")))

    async def _clear_up(self, offset: int) -> None:
        """Remove what the new mark at `offset` has made superfluous.

        What an earlier owner wrote of a later offset stays: should its mark come through yet, it will be needed.
        """
        record_keys = [record_key for record_key, marked in self._marks.items() if marked <= offset]
        record_keys += [record_key for record_key, block in self._standing.items() if block.offset <= self._floor]
        for record_key in record_keys:
            self._marks.pop(record_key, None)
            if record_key in self._standing:
                self._standing_bytes -= self._standing.pop(record_key).size
        await self._write([Record(record_key, None, _as_of(offset)) for record_key in record_keys])

    async def _write(self, records: list[Record]) -> None:
        if records:
            await self._topics.write(self._topic, self._partition, records)

    def _stands(self, record_key: bytes, block: "_Block") -> None:
        self._standing[record_key] = block
        self._standing_bytes += block.size

    async def _write_one(self, record: Record) -> int:
        return await self._topics.write_one(self._topic, self._partition, record)

    async def are_the_newest(self) -> bool:
        """Whether nobody else has written since: whoever made these goes on with the state it has."""
        fence = await self._write_one(Record(_FENCE, b"", []))
        others = False
        async for records in self._topics.read(self._topic, self._partition, self._reached + 1, fence):
            others |= any(self._is_of_another(record) and record.offset != fence for record in records)
        self._reached = fence
        return not others

    def _is_of_another(self, record: ConsumerRecord) -> bool:
        """What has no value removes something; whoever did it has also written a mark."""
        return record.value is not None and record.key[1 : 1 + _NUMBER_BYTES] != self._owner

    async def restore(self, state: State) -> Restored:
        """Load the newest complete checkpoint, and nothing newer, into `state`, which has nothing yet."""
        self._reached = fence = await self._write_one(Record(_FENCE, b"", []))
        # Where it lies makes an owner's name that no other has.
        self._owner = fence.to_bytes(_NUMBER_BYTES, "big")
        found = _Found(keeps=not state.spills)
        async for records in self._topics.read(self._topic, self._partition, 0, fence):
            for record in records:
                found.add(record)
        newest = max(found.marks.values(), key=lambda mark: mark.offset, default=_Mark(-1, -1, None))
        self._floor = max((mark.floor for mark in found.marks.values()), default=-1)
        if state.spills:
            await self._read_again(state, found, newest.offset, fence)
        else:
            found.load(state, newest.offset)
        state.finish(newest.value, self._floor)
        for record_key, block in found.blocks.items():
            self._stands(record_key, block)
        self._marks = {record_key: mark.offset for record_key, mark in found.marks.items()}
        self._next_floor = newest.offset
        return Restored(newest.offset, len(found.blocks))

    async def _read_again(self, state: State, found: "_Found", newest: int, fence: int) -> None:
        """Load what is marked as it is read: no more than a fetch of it is ever in memory."""
        async for records in self._topics.read(self._topic, self._partition, 0, fence):
            for record in records:
                block = found.blocks.get(record.key)
                if record.value is not None and block is not None and self._floor < block.offset <= newest:
                    state.load(block.offset, record.value)


class _Sweep:
    """A checkpoint's part of a sweep: about `size_bytes`, or what is left of it."""

    def __init__(self, state: State, size_bytes: int) -> None:
        self._state = state
        self._left_bytes = size_bytes
        self.is_over = False

    def blocks(self) -> Iterator[bytes]:
        while self._left_bytes > 0 and not self.is_over:
            block, self.is_over = self._state.sweep(min(self._left_bytes, BLOCK_BYTES))
            self._left_bytes -= max(len(block), 1)
            if block:
                yield block


class _Block(NamedTuple):
    offset: int
    size: int


class _Mark(NamedTuple):
    offset: int
    floor: int
    value: bytes | None


class _Found:
    """What a state topic holds: marks, and blocks that nobody has removed; their values only where it `keeps` them."""

    def __init__(self, *, keeps: bool) -> None:
        self.marks: dict[bytes, _Mark] = {}
        self.blocks: dict[bytes, _Block] = {}
        self._values: dict[bytes, bytes] = {}
        self._keeps = keeps

    def add(self, record: ConsumerRecord) -> None:
        """Take the next record. One without a value removes what was at its record_key."""
        record_key: bytes = record.key
        if record_key == _FENCE:
            return
        offset = int(dict(record.headers)[_OFFSET])
        if record.value is None:
            self.marks.pop(record_key, None)
            self.blocks.pop(record_key, None)
            self._values.pop(record_key, None)
        elif record_key[:1] == _BLOCK:
            self.blocks[record_key] = _Block(offset, len(record.value))
            if self._keeps:
                self._values[record_key] = record.value
        else:
            floor = int.from_bytes(record.value[:_NUMBER_BYTES], "big", signed=True)
            self.marks[record_key] = _Mark(offset, floor, record.value[_NUMBER_BYTES:])

    def load(self, state: State, newest: int) -> None:
        """Load what is marked, the newest first: of what is older only keys are looked at, where they are known."""
        marked = [(block.offset, record_key) for record_key, block in self.blocks.items() if block.offset <= newest]
        for offset, record_key in sorted(marked, key=lambda each: each[0], reverse=True):
            state.load(offset, self._values[record_key])


def _as_of(offset: int) -> list[tuple[str, bytes]]:
    return [(_OFFSET, str(offset).encode())]
