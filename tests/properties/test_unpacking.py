"""A compressed batch is read if it fits into its bound, and refused whole if it does not. Its neighbours are read."""

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from meter.kafka import decoding
from meter.kafka.decoding import RECORD_BYTES, Unreadable
from meter.kafka.fetched import records_from
from meter.kafka.records import Record
from tests.kafka_batches import HEAD_BYTES, one_batch
from tests.properties.memory_log import stored

batches = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(100, 5_000)), min_size=1, max_size=6)
"""Of each batch its codec, its records and the bytes of each value."""


@given(batches, st.integers(500, 20_000))
def test_what_fits_is_read_and_the_rest_is_refused(drawn: list[tuple[int, int, int]], bound_bytes: int) -> None:
    """One refused record stands for a batch, at its first offset, and offsets go on behind it."""
    data, at, expected = b"", 0, list[tuple[int, bool]]()
    for codec, count, size in drawn:
        records = [stored("t", 0, at + number, Record(b"k", b" " * size)) for number in range(count)]
        fits = len(one_batch(records)) - HEAD_BYTES + RECORD_BYTES * count <= bound_bytes
        expected += [(record.offset, True) for record in records] if fits else [(at, False)]
        data += one_batch(records, compression=codec)
        at += count
    with patch.object(decoding, "MAX_BATCH_BYTES", bound_bytes):
        found, reached = records_from(data, 0)
    assert [(each.offset, not isinstance(each, Unreadable)) for each in found] == expected
    assert reached == at
