"""Records as a broker sent them: none of them is an object until somebody asks for it.

A fetch is batches (magic 2), one after another, the last of them perhaps cut off. Where all of them are plain, which is
uncompressed, without transactions' marks and without gaps, the kernel reads them as they are.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Final, overload

import msgspec
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords
from faust.types import TP

from meter.kafka.checksum import checksum
from schemas.delivery import Fetched as Fetched  # For the meter, with all else that a fetch is.


class Batch(msgspec.Struct, frozen=True):
    """Records of one partition in offset order. `base`, at or below the first one's, is the offset the fetch began at.

    No record between `base` and `last_offset` is missing; absent offsets were never records (transaction marks).
    """

    tp: TP
    base: int
    records: Sequence[Fetched]

    @property
    def last_offset(self) -> int:
        """The offset of the last record."""
        return last_offset(self.records)


_HEAD: Final = struct.Struct(">qi5xIhiqq14xi")
"""Of a batch: base offset, length, checksum, attributes, last offset's delta, first time, last time, records."""

_NOT_IN_LENGTH: Final = 12
_NOT_IN_CHECKSUM: Final = 21
_AT_MAGIC: Final = 16
_MAGIC: Final = 2
_COMPRESSED: Final = 0b000111
_CONTROL: Final = 0b100000

DAMAGED: Final = "a batch of records arrived damaged"


class KeptRecords(MemoryRecords):  # type: ignore[misc] # aiokafka has no types.
    """What the client makes of a fetch, with the bytes that it is made of."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


class RawRecords(Sequence[Fetched]):
    """The records of a fetch from offset `start` on."""

    def __init__(self, data: bytes, start: int) -> None:
        """Raises NotPlainError, or CorruptRecordException where a checksum does not fit."""
        self.data = data
        self.bytes_count = 0
        self.first_offset, self.last_offset = start, start - 1
        self.last_timestamp_ms = 0
        self._records_count = 0
        self._list: list[Fetched] | None = None
        self._scan()

    def _scan(self) -> None:
        data, start = self.data, self.first_offset
        while (at := self.bytes_count) + _AT_MAGIC < len(data):
            if data[at + _AT_MAGIC] != _MAGIC:
                raise NotPlainError
            if at + _HEAD.size > len(data):
                break
            base, length, crc, attributes, delta, _, last_ms, count = _HEAD.unpack_from(data, at)
            end = at + _NOT_IN_LENGTH + length
            if end < at + _HEAD.size:
                raise CorruptRecordException(DAMAGED)  # No checksum covers the length, and this would not end.
            if end > len(data):
                break
            if attributes & (_COMPRESSED | _CONTROL) or count != delta + 1:
                raise NotPlainError
            if checksum(data[at + _NOT_IN_CHECKSUM : end]) != crc:
                raise CorruptRecordException(DAMAGED)
            if self._records_count == 0:
                self.first_offset = max(start, base)
            self._records_count += max(0, base + count - max(start, base))
            self.bytes_count, self.last_timestamp_ms = end, last_ms
            self.last_offset = max(start - 1, base + delta)

    def __len__(self) -> int:
        return self._records_count

    @overload
    def __getitem__(self, index: int) -> Fetched: ...
    @overload
    def __getitem__(self, index: slice) -> list[Fetched]: ...
    def __getitem__(self, index: int | slice) -> Fetched | list[Fetched]:
        return self._listed[index]

    def __iter__(self) -> Iterator[Fetched]:
        return iter(self._listed)

    @property
    def _listed(self) -> list[Fetched]:
        if self._list is None:
            self._list, _ = read_from(self.data, self.first_offset, is_checked=True)
        return self._list


class NotPlainError(Exception):
    """The client has to read these records."""


def records_from(data: bytes, start: int) -> tuple[Sequence[Fetched], int]:
    """The records from an offset on, and the offset to go on from. Raises CorruptRecordException."""
    try:
        raw = RawRecords(data, start)
    except NotPlainError:
        return read_from(data, start)
    return raw, raw.last_offset + 1


def read_from(data: bytes, start: int, *, is_checked: bool = False) -> tuple[list[Fetched], int]:
    """The records from an offset on as the client reads them, and the offset to go on from.

    Raises CorruptRecordException where a checksum does not fit.
    """
    records, found = MemoryRecords(data), list[Fetched]()
    while records.has_next():
        batch = records.next_batch()
        if not is_checked and not batch.validate_crc():
            raise CorruptRecordException(DAMAGED)
        if not batch.is_control_batch:
            # It begins before the offset that was asked for if that lies in its middle.
            found += batch if batch.base_offset >= start else [record for record in batch if record.offset >= start]
        start = max(start, batch.next_offset)
    return found, start


def first_offset(records: Sequence[Fetched]) -> int:
    """Of a batch that is not empty."""
    return records.first_offset if isinstance(records, RawRecords) else records[0].offset


def last_offset(records: Sequence[Fetched]) -> int:
    """Of a batch that is not empty."""
    return records.last_offset if isinstance(records, RawRecords) else records[-1].offset


def last_timestamp_ms(records: Sequence[Fetched]) -> int:
    """Of a batch that is not empty; of what a broker sent, the latest of the last ones."""
    return records.last_timestamp_ms if isinstance(records, RawRecords) else records[-1].timestamp


def since(records: Sequence[Fetched], offset: int) -> Sequence[Fetched]:
    """Those from an offset on."""
    if first_offset(records) >= offset:
        return records
    if isinstance(records, RawRecords):
        return RawRecords(records.data, offset)
    return [record for record in records if record.offset >= offset]
