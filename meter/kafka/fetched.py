"""Fetched records, kept as the bytes that the broker sent. Record objects are made only when they are asked for.

A fetch is Kafka batches (magic 2) one after another; the last may be cut off. If all of them are plain, that is
uncompressed and without gaps in their offsets, the kernel reads the bytes directly. Transaction markers and batches of
aborted transactions are left out before, which leaves the rest plain.
"""

from collections.abc import Iterator, Sequence
from typing import Final, overload

import msgspec
from aiokafka.errors import CorruptRecordException
from faust.types import TP

from meter.kafka.batches import (
    AT_MAGIC,
    COMPRESSED,
    CONTROL,
    DAMAGED,
    HEAD,
    MAGIC,
    NOT_IN_CHECKSUM,
    NOT_IN_LENGTH,
    TRANSACTIONAL,
    Aborted,
    Placed,
    placed,
    with_judgement,
)
from meter.kafka.checksum import checksum
from meter.kafka.decoding import decoded, records_of
from meter.kafka.epochs import UNKNOWN
from meter.kafka.odd_headers import TolerantRecords
from schemas.delivery import Fetched as Fetched  # For the meter, with all else that a fetch is.


class Batch(msgspec.Struct, frozen=True):
    """The records that one fetch brought from one partition, in offset order.

    `base` is the offset at which the fetch began, at or below the first record's; `last_offset` is the last offset that
    the fetch went over. No record between the two is missing: offsets that are absent are not records, but transaction
    markers and what was aborted. If all are absent, `records` is empty. `epoch` is the leader epoch of the newest Kafka
    batch in the fetch, UNKNOWN where brokers have none.
    """

    tp: TP
    base: int
    records: Sequence[Fetched]
    last_offset: int
    epoch: int = UNKNOWN


UNPACKED_BYTES: Final = 8 * 1024 * 1024
"""After how many unpacked bytes no further batch of a fetch is unpacked. The rest is fetched again."""


class KeptRecords(TolerantRecords):
    """The client's reader of a fetch, which also keeps the bytes that it reads. `transport.py` installs it."""


class RawRecords(Sequence[Fetched]):
    """The records of a fetch from offset `start` on, as bytes.

    `data` is the whole fetch, of which the first `bytes_count` bytes are complete batches. Records below `start` do not
    count. Indexing or iterating decodes all records, once.
    """

    def __init__(self, data: bytes, start: int, *, all_count: bool = True) -> None:
        """Check the batches. Raises NotPlainError; CorruptRecordException where a length or checksum is wrong.

        Unless `all_count`, a transaction of `data` may be aborted, so batches of transactions are not plain.
        """
        self.data = data
        self.bytes_count = 0
        self.first_offset, self.last_offset = start, start - 1
        self.last_timestamp_ms = 0
        self.epoch = UNKNOWN
        self._records_count = 0
        self._list: list[Fetched] | None = None
        self._scan(COMPRESSED | CONTROL if all_count else COMPRESSED | CONTROL | TRANSACTIONAL)

    def _scan(self, not_plain: int) -> None:
        data, start = self.data, self.first_offset
        while (at := self.bytes_count) + AT_MAGIC < len(data):
            if data[at + AT_MAGIC] != MAGIC:
                raise NotPlainError
            if at + HEAD.size > len(data):
                break
            base, length, epoch, crc, attributes, delta, _, last_ms, _, count = HEAD.unpack_from(data, at)
            end = at + NOT_IN_LENGTH + length
            if end < at + HEAD.size:
                # No checksum covers the length, and a negative one would make this loop endless.
                raise CorruptRecordException(DAMAGED)
            if end > len(data):
                break
            if attributes & not_plain or count != delta + 1:
                raise NotPlainError
            if checksum(data[at + NOT_IN_CHECKSUM : end]) != crc:
                raise CorruptRecordException(DAMAGED)
            if self._records_count == 0:
                self.first_offset = max(start, base)
            self._records_count += max(0, base + count - max(start, base))
            self.bytes_count, self.last_timestamp_ms, self.epoch = end, last_ms, epoch
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
            start, data = self.first_offset, self.data
            found = [record for batch in placed(data) for record in decoded(data[batch.at : batch.end])]
            self._list = (
                [each for each in found if each.offset >= start] if found and found[0].offset < start else found
            )
        return self._list


class NotPlainError(Exception):
    """The batches are not plain: not all records count, or they have to be decoded first."""


def records_from(data: bytes, start: int, aborted: Aborted = ()) -> tuple[Sequence[Fetched], int]:
    """Return the records of a fetch from offset `start` on, as bytes if they are plain, and the next offset to fetch.

    `aborted` are the aborted transactions, as the broker named them with the fetch. Batches that cannot be read are
    there as `Unreadable`. Raises CorruptRecordException where a length or checksum is wrong.
    """
    try:
        raw = RawRecords(data, start, all_count=not aborted)
    except NotPlainError:
        return _chosen_from(data, start, aborted)
    return raw, raw.last_offset + 1


def _chosen_from(data: bytes, start: int, aborted: Aborted) -> tuple[Sequence[Fetched], int]:
    """Leave out what does not count, and decode the rest only if it is not plain. Stops after UNPACKED_BYTES."""
    counting: list[Placed] = []
    next_offset = start
    for batch, counts in with_judgement(data, aborted):
        next_offset = max(next_offset, batch.last_offset + 1)
        if counts and batch.last_offset >= start:
            counting.append(batch)
    if all(batch.is_plain for batch in counting):
        kept = b"".join(data[batch.at : batch.end] for batch in counting)
        return RawRecords(kept, start) if kept else [], next_offset
    return _decoded_from(data, start, counting, next_offset)


def _decoded_from(data: bytes, start: int, batches: list[Placed], end: int) -> tuple[list[Fetched], int]:
    found, unpacked_bytes = list[Fetched](), 0
    for batch in batches:
        if unpacked_bytes >= UNPACKED_BYTES:
            return found, batch.base
        records, size_bytes = records_of(data[batch.at : batch.end], batch, start)
        found += records
        unpacked_bytes += size_bytes
    return found, end


def first_offset(records: Sequence[Fetched]) -> int:
    """The offset of the first record. `records` must not be empty."""
    return records.first_offset if isinstance(records, RawRecords) else records[0].offset


def last_offset(records: Sequence[Fetched]) -> int:
    """The offset of the last record. `records` must not be empty."""
    return records.last_offset if isinstance(records, RawRecords) else records[-1].offset


def last_timestamp_ms(records: Sequence[Fetched]) -> int:
    """The Kafka timestamp of the last record, in milliseconds since 1970; 0 if there is none.

    For `RawRecords` it is the largest timestamp in the last Kafka batch, which its header has.
    """
    if isinstance(records, RawRecords):
        return records.last_timestamp_ms
    return records[-1].timestamp if records else 0


def epoch_of(data: bytes, records: Sequence[Fetched]) -> int:
    """The leader epoch of the last complete batch of a fetch, of which `records` are what counts.

    It may be newer than that of the last record. UNKNOWN if there is no batch, or if brokers have no epochs.
    """
    if isinstance(records, RawRecords) and records.data is data:
        return records.epoch
    epoch = UNKNOWN
    for batch in placed(data):
        epoch = batch.epoch
    return epoch


def since(records: Sequence[Fetched], offset: int) -> Sequence[Fetched]:
    """The records from `offset` on."""
    if not records or first_offset(records) >= offset:
        return records
    if isinstance(records, RawRecords):
        return RawRecords(records.data, offset)
    return [record for record in records if record.offset >= offset]
