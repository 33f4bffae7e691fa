"""The records of one Kafka batch. A batch that cannot be read becomes one record that says so, and is refused.

So no batch stops its partition. Whether one can be read follows from its bytes alone, so each replay decides alike.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint

from meter.kafka.batches import COMPRESSED, DAMAGED, HEAD, MAGIC, NOT_IN_LENGTH, Placed
from meter.kafka.unpacking import NotUnpackableError, unpack
from schemas.delivery import Fetched

MAX_BATCH_BYTES: Final = 64 * 1024 * 1024
"""What a compressed batch may become in memory: its unpacked bytes, and RECORD_BYTES for each of its records."""

RECORD_BYTES: Final = 200
"""What a record object takes beside its key, its value and its headers."""

UNREADABLE_BATCH: Final = "unreadable_batch"
"""The code of the dead letter of a batch that cannot be read."""

_AT_ATTRIBUTES: Final = 22
_AT_LENGTH: Final = 8
_LENGTH: Final = struct.Struct(">i")
_BROKERS_TIME: Final = 0b1000


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
    headers: Sequence[tuple[str, bytes]] = ()


class Decoded(msgspec.Struct, frozen=True):
    """A record that the client cannot decode, because the name of a header is not UTF-8."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


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
        return list(_decoded_alone(plain))


def _decoded_alone(plain: bytes) -> Iterator[Decoded]:
    """Decode a batch whose headers have names that are not UTF-8; their bytes become U+FFFD. Slower than the client.

    The client has checked the lengths up to the first such name. Raises CorruptRecordException for a wrong one.
    """
    base, _, _, attributes, _, first_ms, last_ms, _, count = HEAD.unpack_from(plain)
    reader = _Reader(plain, HEAD.size)
    for _ in range(count):
        end = reader.number() + reader.at
        reader.at += 1  # The record's attributes: Kafka has none yet.
        delta_ms, offset = reader.number(), base + reader.number()
        at_ms = last_ms if attributes & _BROKERS_TIME else first_ms + delta_ms
        key, value = reader.part(), reader.part()
        headers = [((reader.part() or b"").decode("utf-8", "replace"), reader.part()) for _ in range(reader.number())]
        if reader.at != end:
            raise CorruptRecordException(DAMAGED)
        yield Decoded(offset, at_ms, key, value, headers)  # type: ignore[arg-type] # A header may lack a value.


class _Reader:
    """Reads numbers and parts of records from `data`, beginning at `at`. Raises CorruptRecordException at its end."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at

    def number(self) -> int:
        """Read a number as Kafka writes it in records."""
        try:
            found, self.at = decode_varint(self._data, self.at)
        except (IndexError, ValueError) as error:
            raise CorruptRecordException(DAMAGED) from error
        return int(found)

    def part(self) -> bytes | None:
        """Read a length and so many bytes; None for length -1."""
        length = self.number()
        if length < 0:
            return None
        at, self.at = self.at, self.at + length
        if self.at > len(self._data):
            raise CorruptRecordException(DAMAGED)
        return self._data[at : self.at]
