"""Writing marks without a checkpoint, and removing all state of a partition, while no worker runs."""

from meter.kafka.records import Record
from meter.stage.found import FENCE, MARK, Found, headers_of
from meter.stage.mark import Mark, Version, encode_mark
from meter.stage.ports import Topics
from schemas.topics import Topic

_NUMBER_BYTES = 8


async def write_mark(topics: Topics, state: Topic, partition: int, version: Version, mark: Mark) -> None:
    """Write a mark as an owner of its own. It stands if its version is above all others in the log."""
    fence = await topics.write_one(state.name, partition, Record(FENCE, b"", []))
    owner = fence.to_bytes(_NUMBER_BYTES, "big")  # No other owner can have the same.
    key = b"".join((MARK, owner, (1).to_bytes(_NUMBER_BYTES, "big")))
    await topics.write_one(state.name, partition, Record(key, encode_mark(mark), headers_of(version)))


async def remove_state(topics: Topics, state: Topic, partition: int, found: Found) -> None:
    """Remove all marks and blocks of a partition. `found` is what its log holds.

    The newest mark is the last mark to go, and blocks go after it. So at every moment the log holds either a whole
    checkpoint or none, and the call may be repeated. Records that are left out stay so.
    """
    marks = sorted(found.marks, key=lambda key: found.marks[key].version)
    for key in marks:
        await topics.write_one(state.name, partition, Record(key, None, headers_of(found.marks[key].version)))
    removals = [Record(key, None, headers_of(block.version)) for key, block in found.blocks.items()]
    await topics.write(state.name, partition, removals)
