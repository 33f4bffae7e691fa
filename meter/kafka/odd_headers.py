"""Reading record batches whose headers have names that are not UTF-8.

Kafka's Java client cannot write such names, others can. The client that we use raises UnicodeDecodeError at the first
one, and then nothing of the batch can be read. Here such a batch is read a second time.
"""

import struct
from collections.abc import Iterator
from typing import Any, Final

from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy as ClientBatch
from aiokafka.record.default_records import _DefaultRecordPy as ClientRecord
from aiokafka.record.memory_records import MemoryRecords

from schemas.headers import name_of

_LENGTH: Final = struct.Struct(">8xi")
"""The length field of a batch, behind its base offset; it does not count both."""


class TolerantRecords(MemoryRecords):  # type: ignore[misc] # aiokafka has no types.
    """The client's reader of a fetch. Its batches can be read with any names of headers."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data
        self._next_at = 0

    def next_batch(self) -> Any:
        """Return the next batch, in the form of the client's."""
        batch = super().next_batch()
        start = self._next_at
        self._next_at += _LENGTH.size + _LENGTH.unpack_from(self.data, start)[0]
        return _TolerantBatch(batch, self.data, start, self._next_at)


class _TolerantBatch:
    """A batch of the client, which reads the records itself if the client cannot. All else is the client's."""

    def __init__(self, batch: Any, data: bytes, start: int, end: int) -> None:
        self._batch = batch
        self._extent = data, start, end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except UnicodeDecodeError:
            data, start, end = self._extent
            return iter(records_of(data[start:end]))


def records_of(whole: bytes) -> list[Any]:
    """Read all records of one batch. Raises CorruptRecordException where a record does not hold together."""
    batch = ClientBatch(whole)
    batch._maybe_uncompress()
    fields = _Fields(bytes(batch._buffer), batch._pos)
    try:
        return [_record(batch, fields) for _ in range(batch._num_records)]
    except IndexError as error:
        raise CorruptRecordException("a record does not hold together, although its checksum fits") from error


def _record(batch: Any, fields: "_Fields") -> Any:
    end = fields.number() + fields.at
    fields.cut(1)  # Its attributes, which are not used.
    first_ms, offset = fields.number(), batch.base_offset + fields.number()
    key, value = fields.part(), fields.part()
    headers = [(name_of(fields.part() or b""), fields.part()) for _ in range(fields.number())]
    if fields.at != end:
        raise IndexError
    at_ms = batch.max_timestamp if batch.timestamp_type else batch.first_timestamp + first_ms
    return ClientRecord(offset, at_ms, batch.timestamp_type, key, value, headers)


class _Fields:
    """The fields of records, one after another. Raises IndexError at the end of the bytes."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at

    def cut(self, count: int) -> bytes:
        start, self.at = self.at, self.at + count
        if self.at > len(self._data):
            raise IndexError
        return self._data[start : self.at]

    def number(self) -> int:
        found = shift = 0
        while True:
            each = self._data[self.at]
            self.at += 1
            found |= (each & 0x7F) << shift
            if each < 0x80:
                return (found >> 1) ^ -(found & 1)
            shift += 7

    def part(self) -> bytes | None:
        count = self.number()
        return None if count < 0 else self.cut(count)
