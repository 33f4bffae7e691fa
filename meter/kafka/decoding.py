"""The records of one Kafka batch. A batch that cannot be read becomes one record that says so, and is refused.

So no batch stops its partition. Whether one can be read follows from its bytes alone, so each replay decides alike.
"""

import struct
from collections.abc import Sequence
from typing import Final

import msgspec
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords

from meter.kafka import odd_headers
from meter.kafka.batches import COMPRESSED, HEAD, MAGIC, NOT_IN_LENGTH, Placed
from meter.kafka.unpacking import NotUnpackableError, unpack
from schemas.delivery import Fetched
from schemas.headers import Headers

MAX_BATCH_BYTES: Final = 64 * 1024 * 1024
"""What a compressed batch may become in memory: its unpacked bytes, and RECORD_BYTES for each of its records."""

RECORD_BYTES: Final = 200
"""What a record object takes beside its key, its value and its headers."""

UNREADABLE_BATCH: Final = "unreadable_batch"
"""The code of the dead letter of a batch that cannot be read."""

_AT_ATTRIBUTES: Final = 22
_AT_LENGTH: Final = 8
_LENGTH: Final = struct.Struct(">i")


class Unreadable(msgspec.Struct, frozen=True):
    """Stands for a batch that cannot be read: one record without a value, so that every fold refuses it.

    `batch` is the batch as it was fetched. The dead letter gets it as its value, and `reason` instead of the fold's.
    """

    offset: int
    timestamp: int
    batch: bytes
    reason: str
    key: None = None
    value: None = None
    headers: Headers = ()


def records_of(batch: bytes, placed: Placed, start: int) -> tuple[Sequence[Fetched], int]:
    """Return the records of a batch from offset `start` on, or one `Unreadable`; and how many bytes were unpacked."""
    try:
        plain = batch if placed.magic != MAGIC else _plain(batch, placed)
        found = decoded(plain, placed.magic)
    except (NotUnpackableError, CorruptRecordException, ValueError) as error:
        offset = max(start, placed.base)
        where = f"offsets {placed.base} to {placed.last_offset}, {placed.records_count} records"
        return [Unreadable(offset, placed.timestamp_ms, batch, f"batch: {where}, cannot be read: {error}")], 0
    if placed.base < start:  # A broker sends whole batches.
        found = [record for record in found if record.offset >= start]
    return found, len(plain)


def _plain(batch: bytes, placed: Placed) -> bytes:
    """Return the batch as it was before it was compressed; its checksum is then wrong."""
    codec = placed.attributes & COMPRESSED
    if codec == 0:
        return batch
    most_bytes = MAX_BATCH_BYTES - RECORD_BYTES * placed.records_count
    if most_bytes < 0 or placed.records_count < 0:
        raise NotUnpackableError(f"its records would take more than {MAX_BATCH_BYTES} bytes of memory")
    unpacked = unpack(codec, batch[HEAD.size :], most_bytes)
    head = bytearray(batch[: HEAD.size])
    head[_AT_ATTRIBUTES] &= ~COMPRESSED
    _LENGTH.pack_into(head, _AT_LENGTH, HEAD.size + len(unpacked) - NOT_IN_LENGTH)
    return bytes(head) + unpacked


def decoded(plain: bytes, magic: int = MAGIC) -> list[Fetched]:
    """Return the records of a batch that is not compressed. Raises CorruptRecordException, or ValueError."""
    if magic != MAGIC:
        return list(MemoryRecords(plain).next_batch())
    try:
        return list(DefaultRecordBatch(plain))
    except UnicodeDecodeError:
        return odd_headers.records_of(plain)
