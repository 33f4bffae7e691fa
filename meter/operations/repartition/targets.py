"""Writing the state of the next generation: blocks at all partitions of a state topic, without marks."""

from typing import Final

from meter.kafka.records import Record
from meter.operations.repartition.sources import Source
from meter.stage.blocks import BLOCK_BYTES, pack
from meter.stage.found import BLOCK, headers_of
from meter.stage.mark import Version
from meter.stage.ports import Topics
from schemas.topics import Topic

PENDING_BYTES: Final = 64 * 1024 * 1024
"""How much may wait to be written, for all partitions together."""

_LEAST_BLOCK_BYTES: Final = 4 * 1024
_NUMBER_BYTES: Final = 8
AT_ONCE: Final = 1_000
"""How many removals are written together."""


class Targets:
    """Writes entries to the partitions of a state topic, as of the mark with which each of them goes on.

    A block does not count until a mark of its generation is there.
    """

    def __init__(self, topics: Topics, state: Topic, versions: list[Version], owners: list[int]) -> None:
        """Take the version of each partition, and a number for each that no owner there has: the offset of a fence."""
        self._topics = topics
        self._state = state
        self._versions = versions
        self._owners = owners
        self._pending = [bytearray() for _ in versions]
        self._numbers = [0] * len(versions)
        self._block_bytes = max(_LEAST_BLOCK_BYTES, min(BLOCK_BYTES, PENDING_BYTES // len(versions)))

    async def add(self, partition: int, key: bytes, value: bytes) -> None:
        """Add an entry to a partition."""
        pending = self._pending[partition]
        for packed in pack([(key, value)]):
            pending += packed
        if len(pending) >= self._block_bytes:
            await self._write(partition)

    async def flush(self) -> None:
        """Write what still waits. Called once, after the last entry."""
        for partition, pending in enumerate(self._pending):
            if pending:
                await self._write(partition)

    async def _write(self, partition: int) -> None:
        self._numbers[partition] += 1
        name = self._owners[partition].to_bytes(_NUMBER_BYTES, "big")
        key = BLOCK + name + self._numbers[partition].to_bytes(_NUMBER_BYTES, "big")
        block = Record(key, bytes(self._pending[partition]), headers_of(self._versions[partition]))
        self._pending[partition].clear()
        await self._topics.write(self._state.name, partition, [block])


async def remove(topics: Topics, source: Source, *, before: int | None = None, of: int | None = None) -> None:
    """Remove marks and blocks of the generations below `before`, or those of generation `of`.

    With `before`, what is known of records that were left out is removed too: it is about offsets that are passed.
    """
    found = source.found
    keys = [key for key, marked in found.marks.items() if _is_meant(marked.version, before, of)]
    keys += [key for key, block in found.blocks.items() if _is_meant(block.version, before, of)]
    if before is not None:
        keys += found.evidence.record_keys()
    for at in range(0, len(keys), AT_ONCE):
        removals = [Record(key, None, headers_of(Version(before or of or 0, -1))) for key in keys[at : at + AT_ONCE]]
        await topics.write(source.state.name, source.partition, removals)


def _is_meant(version: Version, before: int | None, of: int | None) -> bool:
    return version.generation == of if before is None else version.generation < before
