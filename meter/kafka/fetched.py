"""Fetched records, kept as the bytes that the broker sent. Record objects are made only when they are asked for.

A fetch is Kafka batches (magic 2) one after another; the last may be cut off. If all of them are plain, that is
uncompressed, without transaction markers and without gaps in their offsets, the kernel reads the bytes directly.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Final, overload

import msgspec
from aiokafka.errors import CorruptRecordException
from faust.types import TP

from meter.kafka.checksum import checksum
from meter.kafka.odd_headers import TolerantRecords
from schemas.delivery import Fetched as Fetched  # For the meter, with all else that a fetch is.


class Batch(msgspec.Struct, frozen=True):
    """The records that one fetch brought from one partition, in offset order; at least one.

    `base` is the offset at which the fetch began, at or below the first record's. No record from `base` to
    `last_offset` is missing: offsets that are absent are not records (transaction markers).
    """

    tp: TP
    base: int
    records: Sequence[Fetched]

    @property
    def last_offset(self) -> int:
        """The offset of the last record."""
        return last_offset(self.records)


_HEAD: Final = struct.Struct(">qi5xIhiqq14xi")
"""Of a batch's header: base offset, length, checksum, attributes, last offset delta, first and largest timestamp,
count.
"""

_NOT_IN_LENGTH: Final = 12
_NOT_IN_CHECKSUM: Final = 21
_AT_MAGIC: Final = 16
_MAGIC: Final = 2
_COMPRESSED: Final = 0b000111
_CONTROL: Final = 0b100000

DAMAGED: Final = "a batch of records arrived damaged"


class KeptRecords(TolerantRecords):
    """The client's reader of a fetch, which also keeps the bytes that it reads. `transport.py` installs it."""


class RawRecords(Sequence[Fetched]):
    """The records of a fetch from offset `start` on, as bytes.

    `data` is the whole fetch, of which the first `bytes_count` bytes are complete batches. Records below `start` do not
    count. Indexing or iterating decodes all records, once.
    """

    def __init__(self, data: bytes, start: int) -> None:
        """Check the batches. Raises NotPlainError; CorruptRecordException where a length or checksum is wrong."""
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
                # No checksum covers the length, and a negative one would make this loop endless.
                raise CorruptRecordException(DAMAGED)
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
    """The batches are not plain: the client has to decode them."""


def records_from(data: bytes, start: int) -> tuple[Sequence[Fetched], int]:
    """Return the records of a fetch from offset `start` on, as bytes if they are plain, and the next offset to fetch.

    Raises CorruptRecordException where a length or checksum is wrong.
    """
    try:
        raw = RawRecords(data, start)
    except NotPlainError:
        return read_from(data, start)
    return raw, raw.last_offset + 1


def read_from(data: bytes, start: int, *, is_checked: bool = False) -> tuple[list[Fetched], int]:
    """Return the records of a fetch from offset `start` on, decoded by the client, and the next offset to fetch.

    Raises CorruptRecordException where a checksum is wrong, unless `is_checked`: then checksums are not looked at.
    """
    records, found = TolerantRecords(data), list[Fetched]()
    while records.has_next():
        batch = records.next_batch()
        if not is_checked and not batch.validate_crc():
            raise CorruptRecordException(DAMAGED)
        if not batch.is_control_batch:
            # A broker sends whole batches, so the first one may begin before `start`.
            found += batch if batch.base_offset >= start else [record for record in batch if record.offset >= start]
        start = max(start, batch.next_offset)
    return found, start


def first_offset(records: Sequence[Fetched]) -> int:
    """The offset of the first record. `records` must not be empty."""
    return records.first_offset if isinstance(records, RawRecords) else records[0].offset


def last_offset(records: Sequence[Fetched]) -> int:
    """The offset of the last record. `records` must not be empty."""
    return records.last_offset if isinstance(records, RawRecords) else records[-1].offset


def last_timestamp_ms(records: Sequence[Fetched]) -> int:
    """The Kafka timestamp of the last record, in milliseconds since 1970. `records` must not be empty.

    For `RawRecords` it is the largest timestamp in the last Kafka batch, which its header has.
    """
    return records.last_timestamp_ms if isinstance(records, RawRecords) else records[-1].timestamp


def since(records: Sequence[Fetched], offset: int) -> Sequence[Fetched]:
    """The records from `offset` on. `records` must not be empty; the result may be."""
    if first_offset(records) >= offset:
        return records
    if isinstance(records, RawRecords):
        return RawRecords(records.data, offset)
    return [record for record in records if record.offset >= offset]
