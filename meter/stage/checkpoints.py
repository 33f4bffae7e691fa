"""Checkpoints: the state of a partition in a compacted topic, where each checkpoint counts whole or not at all.

A checkpoint consists of blocks with the entries that changed, then one mark. Of every key, a restore uses the entry
with the highest input offset that is not above the newest mark's. So it finds the state as of exactly that offset, even
if a crash left the next checkpoint half written.

No block or mark overwrites another: its Kafka key is its kind, its owner's name and a number. An owner is one restore
and what it writes afterwards.

To bound the log, each checkpoint also writes some entries that did not change. This is a sweep; the next checkpoint
continues it. A sweep that has written the whole state has replaced all records as of the mark at which it began, or
before. They are removed, and every later mark names the input offset of that mark as the floor. Entries as of the floor
or before do not count, so a superseded worker that appends old entries late cannot bring them back (docs/adr/0005).
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
"""A checkpoint sweeps as many bytes as have changed, plus SWEEP_BYTES, plus the log's bytes / SWEEP_SHARE."""


class SupersededError(Exception):
    """Another worker may own the partition by now. The state and its checkpoints must be dropped."""


class Restored(NamedTuple):
    """The result of a restore: the last input offset in the state, -1 without a checkpoint; the blocks in the log."""

    offset: int
    blocks: int


class Checkpoints:
    """Writes and restores the checkpoints of one partition of a state topic, as its owner from `restore` on."""

    def __init__(self, topics: Topics, topic: Topic, partition: int) -> None:
        self._topics = topics
        self._topic = topic.name
        self._partition = partition
        self._owner = b""
        self._last_own_offset = -1
        """The state topic's offset of this owner's last fence or mark."""
        self._records_written = 0
        self._blocks: dict[bytes, _Block] = {}
        """The blocks that are in the log, by record key."""
        self._blocks_bytes = 0
        self._marks: dict[bytes, int] = {}
        """The marks that are in the log: the input offset of each, by record key."""
        self._floor = -1
        """Entries as of this input offset or before do not count."""
        self._next_floor = -1
        """The input offset of the newest mark when the present sweep began: the floor once it has ended."""

    async def write(self, offset: int, state: State, may_go_on: Callable[[], Awaitable[bool]]) -> int:
        """Write a checkpoint of `state` as of input `offset`, and return its size in bytes.

        All outputs of the records up to `offset` must have been acknowledged before. `may_go_on` is called when the
        blocks are written and the mark is not. If it returns False, the checkpoint does not count and SupersededError
        is raised.
        """
        assert self._owner, "restore() comes first"
        size_bytes = await self._write_blocks(offset, state.changed())
        sweep = _Sweep(state, size_bytes + SWEEP_BYTES + self._blocks_bytes // SWEEP_SHARE)
        size_bytes += await self._write_blocks(offset, sweep.blocks())
        if not await may_go_on():
            raise SupersededError(f"{self._topic}/{self._partition}")
        if sweep.is_over:
            self._floor, self._next_floor = self._next_floor, offset
        mark = self._floor.to_bytes(_NUMBER_BYTES, "big", signed=True) + state.mark()
        record_key = self._next_record_key(_MARK)
        self._last_own_offset = await self._write_one(Record(record_key, mark, _as_of(offset)))
        await self._clear_up(offset)
        self._marks[record_key] = offset
        return size_bytes + len(mark)

    async def _write_blocks(self, offset: int, blocks: Iterable[bytes]) -> int:
        size_bytes = 0

        def records() -> Iterator[Record]:
            nonlocal size_bytes
            for block in blocks:
                size_bytes += len(block)
                record_key = self._next_record_key(_BLOCK)
                self._add_block(record_key, _Block(offset, len(block)))
                yield Record(record_key, block, _as_of(offset))

        await self._topics.write(self._topic, self._partition, records())
        return size_bytes

    def _next_record_key(self, kind: bytes) -> bytes:
        """Return a Kafka key that no owner has used: owners' names are unique, and so are the numbers of each owner."""
        self._records_written += 1
        return b"".join((kind, self._owner, self._records_written.to_bytes(_NUMBER_BYTES, "big")))

    async def _clear_up(self, offset: int) -> None:
        """Remove the marks that the new mark at `offset` replaces, and the blocks that do not count any more.

        Blocks and marks of an earlier owner as of a later offset stay. That owner may have been paused before its mark;
        if the mark still arrives, it needs these blocks.
        """
        record_keys = [record_key for record_key, marked in self._marks.items() if marked <= offset]
        record_keys += [record_key for record_key, block in self._blocks.items() if block.offset <= self._floor]
        for record_key in record_keys:
            self._marks.pop(record_key, None)
            if record_key in self._blocks:
                self._blocks_bytes -= self._blocks.pop(record_key).size_bytes
        await self._write([Record(record_key, None, _as_of(offset)) for record_key in record_keys])

    async def _write(self, records: list[Record]) -> None:
        if records:
            await self._topics.write(self._topic, self._partition, records)

    def _add_block(self, record_key: bytes, block: "_Block") -> None:
        self._blocks[record_key] = block
        self._blocks_bytes += block.size_bytes

    async def _write_one(self, record: Record) -> int:
        return await self._topics.write_one(self._topic, self._partition, record)

    async def are_the_newest(self) -> bool:
        """Whether no other owner has written since this owner's last fence or mark: its state is then the newest.

        Called when the partition has come back to this worker, and not before `restore`. Writes a fence, which gives
        the end of the log, and reads up to it.
        """
        fence = await self._write_one(Record(_FENCE, b"", []))
        others = False
        async for records in self._topics.read(self._topic, self._partition, self._last_own_offset + 1, fence):
            others |= any(self._is_of_another(record) and record.offset != fence for record in records)
        self._last_own_offset = fence
        return not others

    def _is_of_another(self, record: ConsumerRecord) -> bool:
        """Whether another owner wrote this block, mark or fence. Removals need no check: a mark precedes them."""
        return record.value is not None and record.key[1 : 1 + _NUMBER_BYTES] != self._owner

    async def restore(self, state: State) -> Restored:
        """Load the newest complete checkpoint, and nothing newer, into `state`, which must be new.

        Called once, before the first `write`. Raises ValueError if a block or the mark cannot be read.
        """
        self._last_own_offset = fence = await self._write_one(Record(_FENCE, b"", []))
        # The fence's offset is the owner's name: no other owner can have the same.
        self._owner = fence.to_bytes(_NUMBER_BYTES, "big")
        found = _Found(keeps=not state.spills)
        async for records in self._topics.read(self._topic, self._partition, 0, fence):
            for record in records:
                found.add(record)
        newest = max(found.marks.values(), key=lambda mark: mark.offset, default=_Mark(-1, -1, None))
        self._floor = max((mark.floor for mark in found.marks.values()), default=-1)
        if state.spills:
            await self._load_while_reading(state, found, newest.offset, fence)
        else:
            found.load(state, newest.offset)
        state.finish(newest.value, self._floor)
        for record_key, block in found.blocks.items():
            self._add_block(record_key, block)
        self._marks = {record_key: mark.offset for record_key, mark in found.marks.items()}
        self._next_floor = newest.offset
        return Restored(newest.offset, len(found.blocks))

    async def _load_while_reading(self, state: State, found: "_Found", newest: int, fence: int) -> None:
        """Read the log a second time and load each block that counts. At most one fetch is in memory at a time."""
        async for records in self._topics.read(self._topic, self._partition, 0, fence):
            for record in records:
                block = found.blocks.get(record.key)
                if record.value is not None and block is not None and self._floor < block.offset <= newest:
                    state.load(block.offset, record.value)


class _Sweep:
    """One checkpoint's part of a sweep: about `size_bytes`, or the rest of the sweep if that is less."""

    def __init__(self, state: State, size_bytes: int) -> None:
        self._state = state
        self._left_bytes = size_bytes
        self.is_over = False

    def blocks(self) -> Iterator[bytes]:
        while self._left_bytes > 0 and not self.is_over:
            block, self.is_over = self._state.sweep(min(self._left_bytes, BLOCK_BYTES))
            self._left_bytes -= max(len(block), 1)  # An empty block must not keep this loop going.
            if block:
                yield block


class _Block(NamedTuple):
    offset: int
    size_bytes: int


class _Mark(NamedTuple):
    offset: int
    floor: int
    value: bytes | None


class _Found:
    """The marks and blocks of a state topic, without those that were removed. Keeps the blocks' values if `keeps`."""

    def __init__(self, *, keeps: bool) -> None:
        self.marks: dict[bytes, _Mark] = {}
        self.blocks: dict[bytes, _Block] = {}
        self._values: dict[bytes, bytes] = {}
        self._keeps = keeps

    def add(self, record: ConsumerRecord) -> None:
        """Add the next record of the log. A record without a value removes the one with its key."""
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
        """Load the blocks as of offset `newest` or before. The newest are first, so that older entries cost little."""
        marked = [(block.offset, record_key) for record_key, block in self.blocks.items() if block.offset <= newest]
        for offset, record_key in sorted(marked, key=lambda each: each[0], reverse=True):
            state.load(offset, self._values[record_key])


def _as_of(offset: int) -> list[tuple[str, bytes]]:
    return [(_OFFSET, str(offset).encode())]
