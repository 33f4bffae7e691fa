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
from msgspec.structs import replace

from meter.kafka.records import Record
from meter.stage.evidence import OWNER
from meter.stage.fold import State
from meter.stage.found import BLOCK, FENCE, MARK, Block, Found, Marked, headers_of
from meter.stage.lives import check_life
from meter.stage.mark import Life, Version, encode_mark, new_mark
from meter.stage.ports import Topics
from meter.stage.quarantine import Quarantine
from meter.stage.sweep_part import SweepPart
from schemas.topics import Topic

_NUMBER_BYTES: Final = 8

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

    def __init__(self, topics: Topics, source: Topic, state: Topic, partition: int, life: Life) -> None:
        self._topics = topics
        self._source, self._state = source, state
        self._topic = state.name
        self._partition = partition
        self.life = life
        """The life of the topics as the brokers have it now. Its generation is that of the newest mark."""
        self.epoch = -1
        """The leader epoch of the last record that was read, or a later one; -1 if it is not known."""
        self.quarantine: Quarantine
        """Which records are left out, and how carefully others are processed. Set by `restore`."""
        self._owner = b""
        self._last_own_offset = -1
        """The state topic's offset of this owner's last fence or mark."""
        self._records_written = 0
        self._blocks: dict[bytes, Block] = {}
        """The blocks that are in the log, by record key."""
        self._blocks_bytes = 0
        self._marks: dict[bytes, Version] = {}
        """The marks that are in the log: the version of each, by record key."""
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
        assert offset > self._next_floor, "a sweep that began at this checkpoint would replace the checkpoint itself"
        size_bytes = await self._write_blocks(offset, state.changed())
        sweep = SweepPart(state, size_bytes + SWEEP_BYTES + self._blocks_bytes // SWEEP_SHARE)
        size_bytes += await self._write_blocks(offset, sweep.blocks())
        if not await may_go_on():
            raise SupersededError(f"{self._topic}/{self._partition}")
        if sweep.is_over:
            self._floor, self._next_floor = self._next_floor, offset
        return size_bytes + await self._write_mark(offset, state)

    async def _write_mark(self, offset: int, state: State) -> int:
        version = self._version(offset)
        left_out = tuple(sorted(each for each in self.quarantine.left_out if self._floor < each <= offset))
        mark = encode_mark(new_mark(self.life, self._floor, left_out, state.mark(), self.epoch))
        record_key = self._next_record_key(MARK)
        self._last_own_offset = await self._write_one(Record(record_key, mark, headers_of(version)))
        await self._clear_up(version)
        self._marks[record_key] = version
        return len(mark)

    def _version(self, offset: int) -> Version:
        return Version(self.life.generation, offset)

    async def _write_blocks(self, offset: int, blocks: Iterable[bytes]) -> int:
        size_bytes = 0
        version = self._version(offset)

        def records() -> Iterator[Record]:
            nonlocal size_bytes
            for block in blocks:
                size_bytes += len(block)
                record_key = self._next_record_key(BLOCK)
                self._add_block(record_key, Block(version, len(block)))
                yield Record(record_key, block, headers_of(version))

        await self._topics.write(self._topic, self._partition, records())
        return size_bytes

    def _next_record_key(self, kind: bytes) -> bytes:
        """Return a Kafka key that no owner has used: owners' names are unique, and so are the numbers of each owner."""
        self._records_written += 1
        return b"".join((kind, self._owner, self._records_written.to_bytes(_NUMBER_BYTES, "big")))

    async def _clear_up(self, version: Version) -> None:
        """Remove the marks that the new mark of `version` replaces, and the blocks that do not count any more.

        Blocks and marks of an earlier owner as of a later version stay. That owner may have been paused before its
        mark; if the mark still arrives, it needs these blocks.
        """
        floor = self._version(self._floor)
        record_keys = [record_key for record_key, marked in self._marks.items() if marked <= version]
        record_keys += [record_key for record_key, block in self._blocks.items() if block.version <= floor]
        record_keys += self.quarantine.removals(version.offset)
        for record_key in record_keys:
            self._marks.pop(record_key, None)
            if record_key in self._blocks:
                self._blocks_bytes -= self._blocks.pop(record_key).size_bytes
        await self._write([Record(record_key, None, headers_of(version)) for record_key in record_keys])

    async def _write(self, records: list[Record]) -> None:
        if records:
            await self._topics.write(self._topic, self._partition, records)

    def _add_block(self, record_key: bytes, block: Block) -> None:
        self._blocks[record_key] = block
        self._blocks_bytes += block.size_bytes

    async def _write_one(self, record: Record) -> int:
        return await self._topics.write_one(self._topic, self._partition, record)

    async def are_the_newest(self) -> bool:
        """Whether no other owner has written since this owner's last fence or mark: its state is then the newest.

        Called when the partition has come back to this worker, and not before `restore`. Writes a fence, which gives
        the end of the log, and reads up to it.
        """
        fence = await self._write_one(Record(FENCE, b"", []))
        others = False
        async for records in self._topics.read(self._topic, self._partition, self._last_own_offset + 1, fence):
            others |= any(self._is_of_another(record) and record.offset != fence for record in records)
        self._last_own_offset = fence
        return not others

    def _is_of_another(self, record: ConsumerRecord) -> bool:
        """Whether another owner wrote this block, mark or fence. Removals need no check: a mark precedes them."""
        owner = dict(record.headers).get(OWNER, record.key[1 : 1 + _NUMBER_BYTES])
        return record.value is not None and owner != self._owner

    async def restore(self, state: State) -> Restored:
        """Load the newest complete checkpoint, and nothing newer, into `state`, which must be new.

        Called once, before the first `write`. Raises RefusalError if the mark was saved with other topics, and
        NewerFormatError if a newer version of the product wrote it; ValueError if a block or a mark cannot be read.
        """
        self._last_own_offset = fence = await self._write_one(Record(FENCE, b"", []))
        # The fence's offset is the owner's name: no other owner can have the same.
        self._owner = fence.to_bytes(_NUMBER_BYTES, "big")
        found = Found(f"{self._topic}/{self._partition}", keeps=not state.spills)
        async for records in self._topics.read(self._topic, self._partition, 0, fence):
            for record in records:
                found.add(record)
        newest = found.newest()
        self._floor = found.floor(newest).offset
        counting = found.counting(newest)
        if newest is not None:
            check_life(self._source, self._state, newest.mark.life, self.life)
            self.life = replace(self.life, generation=newest.version.generation)
            self.epoch = newest.mark.epoch
        if state.spills:
            await self._load_while_reading(state, counting, fence)
        else:
            found.load(state, counting)
        state.finish(newest.mark.fold if newest else None, self._floor)
        for record_key, block in found.blocks.items():
            self._add_block(record_key, block)
        self._marks = {record_key: marked.version for record_key, marked in found.marks.items()}
        self._next_floor = newest.version.offset if newest else -1
        await self._judge(found, newest)
        return Restored(self._next_floor, len(found.blocks))

    async def _judge(self, found: Found, newest: Marked | None) -> None:
        """Leave out the records at which earlier owners ended, as the mark and the evidence say."""
        version = newest.version if newest else self._version(-1)
        location = f"{self._source.name}/{self._partition}"
        self.quarantine = Quarantine(self._write_one, location, self._owner, found.evidence, version)
        await self.quarantine.begin()

    async def _load_while_reading(self, state: State, counting: dict[bytes, Block], fence: int) -> None:
        """Read the log a second time and load each block that counts. At most one fetch is in memory at a time."""
        async for records in self._topics.read(self._topic, self._partition, 0, fence):
            for record in records:
                block = counting.get(record.key)
                if record.value is not None and block is not None:
                    state.load(block.version.offset, record.value)
