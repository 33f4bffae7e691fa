"""Batches of our own making are what Kafka's client would have made of the same records."""

import pytest
from aiokafka.record.util import calc_crc32c

from meter.kafka.checksum import checksum
from meter.kafka.records import PackedBatch, Record, packed_alone
from tests.packed_records import unpacked


@pytest.mark.parametrize("size", [0, 1, 63, 64, 8_191, 8_192, 2_000_000])
@pytest.mark.parametrize("headers", [None, [("offset", b"12"), ("é", b"")]])
@pytest.mark.parametrize("key", [None, b"", b"k" * 64])
def test_a_record_alone_is_read_as_it_was_written(
    size: int, headers: list[tuple[str, bytes]] | None, key: bytes | None
) -> None:
    """At lengths where numbers take a byte more."""
    record = Record(key, b"v" * size, headers)
    assert unpacked(packed_alone(3, record)) == [record]


def test_no_value_is_not_an_empty_one() -> None:
    """One removes, the other does not."""
    assert unpacked(packed_alone(0, Record(b"k", None))) == [Record(b"k", None)]


def test_a_batch_has_the_sequence_that_the_producer_gives_it() -> None:
    """By which a broker knows a repeat; and it is built once, however often it is asked for."""
    batch = PackedBatch(packed_alone(0, Record(b"k", b"v")))
    size = batch.size()
    batch._set_producer_state(7, 3, 11)
    built = batch._build()
    assert (len(built), batch.record_count(), batch.closed()) == (size, 1, True)
    assert [int.from_bytes(built[at : at + length], "big") for at, length in ((43, 8), (51, 2), (53, 4))] == [7, 3, 11]
    batch._set_producer_state(8, 0, 0)
    assert batch._build() is built


@pytest.mark.parametrize("size", [*range(20), 4_097])
def test_checksums_are_the_clients(size: int) -> None:
    """The one of the two that is used here."""
    data = bytes(number * 37 % 256 for number in range(size))
    assert checksum(data) == calc_crc32c(data)
