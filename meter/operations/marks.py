"""Writing a mark without a checkpoint: one record, which counts whole or not at all."""

from meter.kafka.records import Record
from meter.kafka.topics import KafkaTopics
from meter.stage.found import FENCE, MARK, headers_of
from meter.stage.mark import Mark, Version, encode_mark
from schemas.topics import Topic

_NUMBER_BYTES = 8


async def write_mark(topics: KafkaTopics, state: Topic, partition: int, version: Version, mark: Mark) -> None:
    """Write a mark as an owner of its own. It stands if its version is above all others in the log."""
    fence = await topics.write_one(state.name, partition, Record(FENCE, b"", []))
    owner = fence.to_bytes(_NUMBER_BYTES, "big")  # No other owner can have the same.
    key = b"".join((MARK, owner, (1).to_bytes(_NUMBER_BYTES, "big")))
    await topics.write_one(state.name, partition, Record(key, encode_mark(mark), headers_of(version)))
