"""Records as a broker sends them, made by the client's own builder."""

from collections.abc import Sequence

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from meter.kafka.checksum import checksum
from meter.kafka.fetched import Fetched

AT_ATTRIBUTES, AT_CRC = 21, 17
BROKERS_TIME, CONTROL = 8, 32


def sent_bytes(records: Sequence[Fetched], most: int = 1_000, *, compression: int = 0) -> bytes:
    """Batches of `most` records at the most, a new one wherever an offset is missing."""
    parts: list[list[Fetched]] = []
    for record in records:
        if not parts or len(parts[-1]) == most or record.offset != parts[-1][-1].offset + 1:
            parts.append([])
        parts[-1].append(record)
    return b"".join(one_batch(part, compression=compression) for part in parts)


def one_batch(records: Sequence[Fetched], *, compression: int = 0, attributes: int = 0) -> bytes:
    """A batch, in which offsets may be missing. `attributes` are added to it."""
    builder = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, 0, 1 << 24)
    base = records[0].offset
    for record in records:
        at = record.offset - base
        assert builder.append(at, record.timestamp, record.key, record.value, list(record.headers)) is not None
    batch = bytearray(builder.build())
    batch[:8] = base.to_bytes(8, "big")
    batch[AT_ATTRIBUTES + 1] |= attributes
    return sealed(batch)


def sealed(batch: bytearray) -> bytes:
    """With the checksum that fits."""
    batch[AT_CRC:AT_ATTRIBUTES] = checksum(bytes(batch[AT_ATTRIBUTES:])).to_bytes(4, "big")
    return bytes(batch)
