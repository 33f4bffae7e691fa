"""Reading the state of a partition entry by entry, without holding the values of all of them."""

from collections.abc import AsyncIterator
from typing import NamedTuple

from meter.kafka.records import Record
from meter.stage.blocks import unpack
from meter.stage.found import FENCE, Block, Found, Marked
from meter.stage.mark import Mark
from meter.stage.ports import Topics
from schemas.topics import Topic


class Source(NamedTuple):
    """A partition of a state topic: all that its log holds, up to the offset `fence`, and the newest checkpoint.

    A record of `generation` or above does not count: it is of the repartition itself.
    """

    state: Topic
    partition: int
    found: Found
    fence: int
    newest: Marked | None
    counting: dict[bytes, Block]

    @property
    def mark(self) -> Mark | None:
        """The mark of the newest checkpoint; None if there is none."""
        return self.newest.mark if self.newest else None

    @property
    def offset(self) -> int:
        """The input offset of the newest checkpoint; -1 if there is none."""
        return self.newest.version.offset if self.newest else -1


async def find_source(topics: Topics, state: Topic, partition: int, generation: int) -> Source:
    """Read what the log of a partition holds. Raises NewerFormatError, and ValueError if a mark cannot be read."""
    # The fence gives the end of the log. No broker has to be asked for it.
    fence = await topics.write_one(state.name, partition, Record(FENCE, b"", []))
    found = Found(f"{state.name}/{partition}", keeps=False)
    async for records in topics.read(state.name, partition, 0, fence):
        for record in records:
            found.add(record)
    marks = [marked for marked in found.marks.values() if marked.version.generation < generation]
    newest = max(marks, key=lambda marked: marked.version, default=None)
    return Source(state, partition, found, fence, newest, found.counting(newest))


class KeyedValue(NamedTuple):
    """An entry of a checkpoint."""

    key: bytes
    value: bytes


async def entries(topics: Topics, source: Source) -> AsyncIterator[KeyedValue]:
    """Yield the entries of the newest checkpoint, each once, in no particular order.

    Reads the log twice: of every key the highest offset first, then the values. So memory holds the keys of one
    partition and no values.
    """
    highest: dict[bytes, int] = {}
    async for block, value in _blocks(topics, source):
        for key, _ in unpack(value):
            highest[key] = max(highest.get(key, block.version.offset), block.version.offset)
    async for block, value in _blocks(topics, source):
        for key, entry in unpack(value):
            if highest.get(key) == block.version.offset:
                del highest[key]  # A sweep may have written it again as of the same offset.
                if entry is not None:
                    yield KeyedValue(key, entry)


async def _blocks(topics: Topics, source: Source) -> AsyncIterator[tuple[Block, bytes]]:
    if not source.counting:
        return
    async for records in topics.read(source.state.name, source.partition, 0, source.fence):
        for record in records:
            block = source.counting.get(record.key)
            if block is not None and record.value is not None:
                yield block, record.value
