"""Records as a broker sends them, made by the client's own builder."""

import struct
from collections.abc import Callable, Sequence

from aiokafka.record.control_record import ABORT_MARKER, COMMIT_MARKER
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from meter.kafka.checksum import checksum
from meter.kafka.fetched import Fetched
from meter.kafka.records import Record
from tests.properties.memory_log import stored

AT_ATTRIBUTES, AT_CRC = 21, 17
HEAD_BYTES = 61
BROKERS_TIME, CONTROL = 8, 32
CODECS = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
"""Kafka's codecs, each with its number in a batch's attributes; 0 is none."""


def sent_bytes(records: Sequence[Fetched], most: int = 1_000, *, compression: int = 0) -> bytes:
    """Batches of `most` records at the most, a new one wherever an offset is missing."""
    parts: list[list[Fetched]] = []
    for record in records:
        if not parts or len(parts[-1]) == most or record.offset != parts[-1][-1].offset + 1:
            parts.append([])
        parts[-1].append(record)
    return b"".join(one_batch(part, compression=compression) for part in parts)


def one_batch(
    records: Sequence[Fetched], *, compression: int = 0, attributes: int = 0, producer: int | None = None
) -> bytes:
    """A batch, in which offsets may be missing. `attributes` are added to it. A `producer` makes it transactional."""
    in_transaction = producer is not None
    builder = DefaultRecordBatchBuilder(
        2, compression, int(in_transaction), -1 if producer is None else producer, 0, 0, 1 << 27
    )
    base = records[0].offset
    for record in records:
        at = record.offset - base
        assert builder.append(at, record.timestamp, record.key, record.value, list(record.headers)) is not None
    batch = bytearray(builder.build())
    batch[:8] = base.to_bytes(8, "big")
    batch[AT_ATTRIBUTES + 1] |= attributes
    return sealed(batch)


def marker(offset: int, producer: int, *, aborts: bool = False) -> bytes:
    """What a broker writes where a producer's transaction ends."""
    key = struct.pack(">HH", ABORT_MARKER.version, ABORT_MARKER.type_ if aborts else COMMIT_MARKER.type_)
    ended = stored("t", 0, offset, Record(key, bytes(6)), 1)
    return one_batch([ended], attributes=CONTROL, producer=producer)


def compressed_by(batch: bytes, codec: str, compress: Callable[[bytes], bytes]) -> bytes:
    """A plain batch whose records some other program compressed."""
    found = bytearray(batch[:HEAD_BYTES] + compress(batch[HEAD_BYTES:]))
    found[8:12] = (len(found) - 12).to_bytes(4, "big")
    found[AT_ATTRIBUTES + 1] |= CODECS[codec]
    return sealed(found)


def sealed(batch: bytearray) -> bytes:
    """With the checksum that fits."""
    batch[AT_CRC:AT_ATTRIBUTES] = checksum(bytes(batch[AT_ATTRIBUTES:])).to_bytes(4, "big")
    return bytes(batch)
