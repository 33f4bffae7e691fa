"""A dead letter holds its record whole, with its headers, or says what is missing and how the record is recognised."""

import gzip
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core.rejection import Rejected
from meter.kafka.fetched import records_from
from meter.kafka.odd_headers import TolerantRecords
from meter.kafka.records import PackedBatch, Record, packed_alone
from meter.stage.dead_letter import dead_letter, dead_letters
from schemas import shortened_letters
from schemas.dead_letters import SHORTENED, DeadLetter, from_record
from schemas.headers import Headers, name_of
from schemas.shortened_letters import fitted, whole_of
from schemas.topics import CHAT_EVENTS, MAX_RECORD_BYTES
from tests.kafka_batches import compressed_by
from tests.properties.memory_log import stored

MOST_BYTES: Final = 6 * 1024
PART_BYTES: Final = 256

names = st.sampled_from(
    (b"traceparent", b"code", b"source-headers", b"shortened", b"replay-of", b"", b"\xff", b"n\xc3\xa9")
)
headers = st.lists(st.tuples(names.map(name_of), st.none() | st.binary(max_size=8) | st.just(b"v" * 3_000)), max_size=6)
parts = st.none() | st.binary(max_size=8) | st.integers(0, 8_000).map(lambda size: b"x" * size)


@pytest.fixture(scope="module", autouse=True)
def small_limits() -> Iterator[None]:
    """Records of 32 MiB take long; the rule is the same with a topic that takes 6 KiB."""
    limits: dict[str, Any] = {"MAX_RECORD_BYTES": MOST_BYTES, "PART_BYTES": PART_BYTES, "REASON_BYTES": 512}
    with patch.multiple(shortened_letters, **limits):
        yield


def letter_of(key: bytes | None, value: bytes | None, its_headers: Headers, reason: str = "value: why") -> DeadLetter:
    record: Any = stored(CHAT_EVENTS.name, 3, 7, Record(key, value, its_headers))
    return dead_letter(CHAT_EVENTS, 3, record, Rejected("not_json", reason))


def sent(letter: DeadLetter) -> tuple[Record, bytes]:
    """The record of a letter, and the batch that a broker gets."""
    output = dead_letters([letter])
    assert isinstance(output.records, list)
    (record,) = output.records
    return record, PackedBatch(packed_alone(0, record))._build()


@given(parts, parts, headers, st.text(max_size=2_000))
def test_a_letter_fits_its_topic_and_is_read_as_it_was_written(
    key: bytes | None, value: bytes | None, its_headers: Headers, reason: str
) -> None:
    """With all that Kafka adds, for any record, and also where its headers have the names of the letter's."""
    letter = letter_of(key, value, its_headers, reason)
    record, batch = sent(letter)
    assert len(batch) <= MOST_BYTES
    assert from_record(record.key, record.value, record.headers or []) == letter
    (read,), _ = records_from(batch, 0)
    assert (read.key, read.value, list(read.headers)) == (record.key, record.value, list(record.headers or []))


@given(parts, parts, headers)
def test_a_letter_is_whole_or_says_that_it_is_shortened(
    key: bytes | None, value: bytes | None, its_headers: Headers
) -> None:
    """Every header in its order, repeated and null ones too; else beginnings, lengths and hashes."""
    letter = letter_of(key, value, its_headers)
    record, _ = sent(letter)
    if letter.whole is None:
        assert (letter.key, letter.value, list(letter.source_headers)) == (key, value, list(its_headers))
        assert list(record.headers or [])[len(record.headers or []) - len(its_headers) :] == list(its_headers)
        return
    assert dict(record.headers or [])[SHORTENED] or SHORTENED in [name for name, _ in its_headers]
    for kept, part in ((letter.key, key), (letter.value, value)):
        assert kept == (None if part is None else part[:PART_BYTES])
    assert list(its_headers)[: len(letter.source_headers)] == list(letter.source_headers)
    cut = [name for name, kept, part in (("key", letter.key, key), ("value", letter.value, value)) if kept != part]
    cut += ["headers"] if len(letter.source_headers) < len(its_headers) else []
    assert cut
    assert letter.whole == whole_of(key, value, its_headers, ",".join(cut))
    assert letter.value_bytes == (None if value is None else len(value))
    assert letter.whole.value_sha256 == ("" if value is None else sha256(value).hexdigest())


@given(headers, st.booleans())
def test_headers_of_any_client_are_read(its_headers: Headers, is_packed: bool) -> None:
    """Names that are not UTF-8 stop no reader, neither the stages' nor the commands', in packed batches too."""
    batch = PackedBatch(packed_alone(0, Record(b"k", b"v", its_headers)))._build()
    if is_packed:
        batch = compressed_by(batch, "gzip", gzip.compress)
    found, after = records_from(batch, 0)
    reader = TolerantRecords(batch)
    (again,) = list(reader.next_batch())
    for read in (*found, again):
        assert (read.key, read.value, list(read.headers)) == (b"k", b"v", list(its_headers))
    assert after == 1
    assert not reader.has_next()


def test_a_record_of_the_largest_size_has_a_letter() -> None:
    """With the true limits: 32 MiB less 100 bytes is what a topic takes, and then the letter adds its own."""
    with patch.multiple(shortened_letters, MAX_RECORD_BYTES=MAX_RECORD_BYTES, PART_BYTES=64 * 1024):
        value = b"x" * (MAX_RECORD_BYTES - 100)
        letter = fitted(letter_of(b"w", value, ()))
    assert letter.whole == whole_of(b"w", value, (), "value")
    assert letter.value == value[: 64 * 1024]
