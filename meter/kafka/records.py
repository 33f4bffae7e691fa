"""Records to write, as objects or encoded already; and Kafka's record batches (magic 2) made of encoded ones."""

import struct
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from aiokafka.producer.message_accumulator import BatchBuilder

from meter.kafka.checksum import checksum
from schemas.headers import Headers, is_utf8, name_bytes, size_of

Delivery = Awaitable[object]
"""Completes when the broker has acknowledged a batch; raises KafkaError if it was not written."""

ALONE_BYTES: Final = 64 * 1024
"""A record that has at least this many bytes is a batch of its own."""

BATCH_BYTES: Final = 512 * 1024
"""A Kafka batch is closed before it would be larger than this. One record that is larger is a batch of its own."""


class Record(NamedTuple):
    """One record to write. At least one of key and value is not None; in a compacted topic no value means removal."""

    key: bytes | None
    value: bytes | None
    headers: Headers | None = None


class Packed(NamedTuple):
    """Encoded records for one partition, as a Kafka batch holds them after its header.

    Their offsets and timestamps are relative to the batch's first: record n has offset delta n and timestamp delta 0.
    """

    partition: int
    records: bytes
    records_count: int


Records = list[Record] | Callable[[int], list[Packed]]
"""Records, each for the partition of its key; or a function that packs them for the given number of partitions."""

_LEADER_EPOCH: Final = -1
_MAGIC: Final = 2
_CRC: Final = struct.Struct(">I")
_BEFORE_CRC: Final = struct.Struct(">qiib")
_AFTER_CRC: Final = struct.Struct(">hiqqqhii")
_NOT_IN_LENGTH: Final = 12
"""A batch's length field does not count the base offset and itself."""


class PackedBatch(BatchBuilder):  # type: ignore[misc] # aiokafka has no types.
    """Encoded records in the form that aiokafka's producer sends. The header is put before them at the time of sending.

    The methods are those that the producer calls on its own `BatchBuilder`.
    """

    def __init__(self, packed: Packed) -> None:
        self._packed = packed
        self._time_ms = int(time.time() * 1000)
        self._producer = -1, -1, -1
        self._buffer: bytes | None = None

    def closed(self) -> bool:
        """Return True: no record may be added."""
        return True

    def close(self) -> None:
        """Do nothing: the batch is closed from the beginning."""

    def record_count(self) -> int:
        """How many records the batch has."""
        return self._packed.records_count

    def size(self) -> int:
        """The size of the batch in bytes, with its header."""
        return _BEFORE_CRC.size + _CRC.size + _AFTER_CRC.size + len(self._packed.records)

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._producer = producer_id, producer_epoch, base_sequence

    def _build(self) -> bytes:
        if self._buffer is None:
            _, records, count = self._packed
            after = _AFTER_CRC.pack(0, count - 1, self._time_ms, self._time_ms, *self._producer, count) + records
            length = self.size() - _NOT_IN_LENGTH
            before = _BEFORE_CRC.pack(0, length, _LEADER_EPOCH, _MAGIC)
            self._buffer = b"".join((before, _CRC.pack(checksum(after)), after))
        return self._buffer


def packed_alone(partition: int, record: Record) -> Packed:
    """Encode one record to be a batch of its own. For large records this is faster than the client's encoder."""
    parts = [b"\0\0\0", *_with_length(record.key), *_with_length(record.value), _varint(len(record.headers or ()))]
    for name, value in record.headers or ():
        parts += [*_with_length(name_bytes(name)), *_with_length(value)]
    body = b"".join(parts)
    return Packed(partition, _varint(len(body)) + body, 1)


def _with_length(text: bytes | None) -> tuple[bytes, bytes]:
    """The length of a field and its bytes; length -1 for None."""
    return (_varint(-1), b"") if text is None else (_varint(len(text)), text)


def _varint(number: int) -> bytes:
    """Encode a number as Kafka does in records: zigzag, then seven bits a byte, the lowest first."""
    left = number << 1 if number >= 0 else ~(number << 1)
    written = bytearray()
    while left >= 0x80:
        written.append(left & 0x7F | 0x80)
        left >>= 7
    written.append(left)
    return bytes(written)


def is_alone(record: Record) -> bool:
    """Whether a record is written as a batch of its own: it is large, or the client cannot write its headers."""
    size_bytes = len(record.key or b"") + len(record.value or b"")
    if not record.headers:
        return size_bytes >= ALONE_BYTES
    return size_bytes + size_of(record.headers) >= ALONE_BYTES or not all(is_utf8(name) for name, _ in record.headers)
