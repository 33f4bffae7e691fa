"""Records that are encoded already, and the batch of Kafka's that they become without being looked at again."""

import struct
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from aiokafka.producer.message_accumulator import BatchBuilder

from meter.kafka.checksum import checksum

Delivery = Awaitable[object]


BATCH_BYTES: Final = 512 * 1024
"""A batch is closed before it is larger than this. A single record may be."""

Headers = list[tuple[str, bytes]]


class Record(NamedTuple):
    """One record to write. At least one of key and value is not None."""

    key: bytes | None
    value: bytes | None
    headers: Headers | None = None


class Packed(NamedTuple):
    """Records of one partition as a batch (magic 2) holds them: offsets and times count from its first one's."""

    partition: int
    records: bytes
    records_count: int


Records = list[Record] | Callable[[int], list[Packed]]
"""Records to write, each to the partition of its key; or what packs them for as many partitions as there are."""

_LEADER_EPOCH: Final = -1
_MAGIC: Final = 2
_CRC: Final = struct.Struct(">I")
_BEFORE_CRC: Final = struct.Struct(">qiib")
_AFTER_CRC: Final = struct.Struct(">hiqqqhii")
_NOT_IN_LENGTH: Final = 12
"""The base offset, and the length itself."""


class PackedBatch(BatchBuilder):  # type: ignore[misc] # aiokafka has no types.
    """What the client sends as a batch of its own making: a head, put before the records when their turn has come."""

    def __init__(self, packed: Packed) -> None:
        self._packed = packed
        self._time_ms = int(time.time() * 1000)
        self._producer = -1, -1, -1
        self._buffer: bytes | None = None

    def closed(self) -> bool:
        """Nothing joins it."""
        return True

    def close(self) -> None:
        """Closed it is."""

    def record_count(self) -> int:
        """As the client asks."""
        return self._packed.records_count

    def size(self) -> int:
        """As the client asks: in bytes, with the head."""
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
    """A record that is a batch of its own: one that is large enough for its bytes to be what costs."""
    parts = [b"\0\0\0", *_with_length(record.key), *_with_length(record.value), _varint(len(record.headers or ()))]
    for name, value in record.headers or ():
        parts += [*_with_length(name.encode()), *_with_length(value)]
    body = b"".join(parts)
    return Packed(partition, _varint(len(body)) + body, 1)


def _with_length(text: bytes | None) -> tuple[bytes, bytes]:
    return (_varint(-1), b"") if text is None else (_varint(len(text)), text)


def _varint(number: int) -> bytes:
    """As Kafka writes numbers in records: zigzag, seven bits a byte."""
    left = number << 1 if number >= 0 else ~(number << 1)
    written = bytearray()
    while left >= 0x80:
        written.append(left & 0x7F | 0x80)
        left >>= 7
    written.append(left)
    return bytes(written)
