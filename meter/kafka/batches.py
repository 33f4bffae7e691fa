"""Kafka batches as they lie in a fetch, one after another: where each lies, and whether its records count.

A producer with transactions writes its batches at once, and later a marker, a batch of its own, that commits or aborts
them. With a fetch the broker lists the aborted transactions in it: the producer and the first offset of each. Batches
of an aborted transaction do not count, up to its marker. Markers are not records.
"""

import struct
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from aiokafka.errors import CorruptRecordException
from aiokafka.record.control_record import ABORT_MARKER, ControlRecord
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords

from meter.kafka.checksum import checksum
from meter.kafka.epochs import UNKNOWN

Aborted: TypeAlias = Sequence[tuple[int, int]]
"""The aborted transactions that a broker names with a fetch: of each its producer's id and its first offset."""

HEAD: Final = struct.Struct(">qiixIhiqqq6xi")
"""Of a batch's header: base offset, length, leader epoch, checksum, attributes, last offset delta, first and largest
timestamp, producer id, count.
"""

AT_MAGIC: Final = 16
MAGIC: Final = 2
NOT_IN_LENGTH: Final = 12
NOT_IN_CHECKSUM: Final = 21
COMPRESSED: Final = 0b000111
TRANSACTIONAL: Final = 0b010000
CONTROL: Final = 0b100000

DAMAGED: Final = "a batch of records arrived damaged"

_OLD_HEAD: Final = struct.Struct(">qi")


class Placed(NamedTuple):
    """A complete batch at `data[at:end]` of a fetch. Of Kafka's old formats only the first five fields are known."""

    at: int
    end: int
    magic: int
    base: int
    last_offset: int
    attributes: int = 0
    timestamp_ms: int = 0
    producer: int = -1
    records_count: int = 1
    epoch: int = UNKNOWN

    @property
    def is_plain(self) -> bool:
        """Whether the kernel can read it: not compressed, and without gaps in its offsets."""
        is_whole = self.records_count == self.last_offset - self.base + 1
        return self.magic == MAGIC and not self.attributes & COMPRESSED and is_whole


def placed(data: bytes) -> Iterator[Placed]:
    """Yield the complete batches of a fetch. Raises CorruptRecordException where a length or checksum is wrong."""
    at = 0
    while at + AT_MAGIC < len(data):
        is_old = data[at + AT_MAGIC] != MAGIC
        if at + (_OLD_HEAD if is_old else HEAD).size > len(data):
            return
        found = _old(data, at) if is_old else _new(data, at)
        if found is None:
            return
        yield found
        at = found.end


def _new(data: bytes, at: int) -> Placed | None:
    base, length, epoch, crc, attributes, delta, _, last_ms, producer, count = HEAD.unpack_from(data, at)
    end = at + NOT_IN_LENGTH + length
    if end < at + HEAD.size:
        # No checksum covers the length, and a negative one would make this loop endless.
        raise CorruptRecordException(DAMAGED)
    if end > len(data):
        return None
    if checksum(data[at + NOT_IN_CHECKSUM : end]) != crc:
        raise CorruptRecordException(DAMAGED)
    return Placed(at, end, MAGIC, base, base + delta, attributes, last_ms, producer, count, epoch)


def _old(data: bytes, at: int) -> Placed | None:
    """A message of Kafka's formats 0 and 1, which the client checks. A compressed one has the offset of its last."""
    base, length = _OLD_HEAD.unpack_from(data, at)
    end = at + NOT_IN_LENGTH + length
    if end <= at + AT_MAGIC:
        raise CorruptRecordException(DAMAGED)
    if end > len(data):
        return None
    if not MemoryRecords(data[at:end]).next_batch().validate_crc():
        raise CorruptRecordException(DAMAGED)
    return Placed(at, end, data[at + AT_MAGIC], base, base)


def with_judgement(data: bytes, aborted: Aborted) -> Iterator[tuple[Placed, bool]]:
    """Yield the complete batches of a fetch, each with whether its records count. Raises CorruptRecordException."""
    waiting = deque(sorted(aborted, key=lambda each: each[1]))
    producers: set[int] = set()
    for batch in placed(data):
        while waiting and waiting[0][1] <= batch.last_offset:
            producers.add(waiting.popleft()[0])
        if batch.attributes & CONTROL:
            if _is_abort(data[batch.at : batch.end]):
                producers.discard(batch.producer)
            yield batch, False
        else:
            yield batch, not (batch.attributes & TRANSACTIONAL and batch.producer in producers)


def _is_abort(marker: bytes) -> bool:
    """Whether a control batch says that its producer's transaction was aborted. Kafka has other kinds of them."""
    try:
        ended = ControlRecord.parse(next(iter(DefaultRecordBatch(marker))).key)
        return bool(ended.type_ == ABORT_MARKER.type_)
    except (CorruptRecordException, StopIteration, ValueError, TypeError, struct.error):
        return False
