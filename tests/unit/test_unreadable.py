"""A batch that cannot be read, or would take too much memory, is one refused record, and its partition goes on."""

import gzip
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Final

import cramjam
import pytest
from aiokafka import codec as client

from meter.kafka import decoding
from meter.kafka.decoding import RECORD_BYTES, UNREADABLE_BATCH, Unreadable
from meter.kafka.fetched import Fetched, records_from
from meter.kafka.records import PackedBatch, Record, packed_alone
from meter.kafka.unpacking import NotUnpackableError, unpack
from meter.sessionizer.engine import MakeEngine
from meter.sessionizer.sessionizer import Sessionizer
from schemas.dead_letters import from_record
from schemas.events import MAX_EVENT_BYTES
from schemas.topics import MAX_RECORD_BYTES
from tests.kafka_batches import AT_ATTRIBUTES, CODECS, HEAD_BYTES, compressed_by, one_batch, sealed, sent_bytes
from tests.properties.memory_log import stored
from tests.properties.worlds import POLICY
from tests.sessionizer_engines import core, kernel, needs_kernel

MIB: Final = 1024 * 1024
BLANKS: Final = b" " * (8 * MIB)
COMPRESS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": gzip.compress,
    "snappy": lambda text: bytes(cramjam.snappy.compress_raw(text)),
    "snappy in blocks": client.snappy_encode,
    "lz4": lambda text: bytes(cramjam.lz4.compress(text)),
    "zstd": lambda text: bytes(cramjam.zstd.compress(text)),
}


def number_of(form: str) -> int:
    return CODECS[form.split()[0]]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound of 1 MiB."""
    monkeypatch.setattr(decoding, "MAX_BATCH_BYTES", MIB)


@pytest.mark.parametrize("form", COMPRESS)
def test_what_grows_beyond_the_bound_is_refused_in_bounded_memory(form: str) -> None:
    """8 MiB of blanks in a few KiB: never more than twice the bound is held."""
    packed = COMPRESS[form](BLANKS)
    tracemalloc.start()
    with pytest.raises(NotUnpackableError, match="within 1048576 bytes"):
        unpack(number_of(form), packed, MIB)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 2.5 * MIB + len(packed)


@pytest.mark.parametrize("form", COMPRESS)
def test_what_is_as_long_as_the_bound_is_unpacked(form: str) -> None:
    """And one byte less than its length is too little."""
    text = BLANKS[:MIB]
    assert unpack(number_of(form), COMPRESS[form](text), MIB) == text
    with pytest.raises(NotUnpackableError):
        unpack(number_of(form), COMPRESS[form](text), MIB - 1)


@pytest.mark.parametrize("form", COMPRESS)
def test_what_is_no_text_of_its_codec_is_refused(form: str) -> None:
    """Cut off, or nothing, or noise; and a codec that Kafka does not have."""
    packed = COMPRESS[form](b"a text " * 99)
    for broken in (packed[:-9], b"", b"noise" * 20, packed[:20] + b"\xff" * 9 + packed[29:]):
        with pytest.raises(NotUnpackableError):
            unpack(number_of(form), broken, MIB)
    with pytest.raises(NotUnpackableError, match="codec 7"):
        unpack(7, packed, MIB)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("form", COMPRESS)
def test_a_batch_beyond_the_bound_stands_between_its_neighbours(form: str) -> None:
    """One record in its place, which names its offsets; the next batch is read. Each replay decides alike."""
    plain = one_batch([stored("t", 0, offset, Record(b"k", BLANKS), 7) for offset in (5, 6)])
    bomb = compressed_by(plain, form.split()[0], COMPRESS[form])
    good = [stored("t", 0, offset, Record(b"k", b"{}"), 7) for offset in (4, 7)]
    data = one_batch(good[:1]) + bomb + one_batch(good[1:])
    found, reached = records_from(data, 4)
    assert [each.offset for each in found] == [4, 5, 7]
    assert reached == 8
    refused = found[1]
    assert isinstance(refused, Unreadable)
    assert (refused.key, refused.value, refused.batch) == (None, None, bomb)
    assert refused.reason.startswith(
        "batch: offsets 5 to 6, 2 records, cannot be read: it cannot be decompressed within"
    )
    assert records_from(data, 4)[0][1] == refused
    assert [each.offset for each in records_from(data, 6)[0]] == [6, 7]


@pytest.mark.usefixtures("small")
def test_records_count_with_what_they_take_in_memory() -> None:
    """Empty records are a few bytes each in a batch, and an object each in memory."""
    many = [stored("t", 0, offset, Record(None, None)) for offset in range(MIB // RECORD_BYTES + 1)]
    (refused,) = records_from(one_batch(many, compression=1), 0)[0]
    assert isinstance(refused, Unreadable)
    assert refused.reason.endswith("its records would take more than 1048576 bytes of memory")
    assert len(records_from(one_batch(many[: MIB // RECORD_BYTES // 2], compression=1), 0)[0]) == len(many) // 2


def test_large_records_are_refused_one_by_one() -> None:
    """A batch within the bound gives its records, though each of them is too large for an event."""
    large = [stored("t", 0, offset, Record(b"k", b" " * (MAX_EVENT_BYTES + 1))) for offset in range(3)]
    batch = compressed_by(one_batch(large), "gzip", gzip.compress)
    found, reached = records_from(batch, 0)
    assert ([len(each.value or b"") for each in found], reached) == ([MAX_EVENT_BYTES + 1] * 3, 3)


def test_a_fetch_is_unpacked_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small batches may grow as well: what is beyond the bound is left, and fetched again."""
    monkeypatch.setattr("meter.kafka.fetched.UNPACKED_BYTES", 3_000)
    records = [stored("t", 0, offset, Record(b"k", b" " * 1_000)) for offset in range(10)]
    data = sent_bytes(records, 1, compression=4)
    found, at = [], 0
    parts = []
    while at < 10:
        read, at = records_from(data, at)
        found += [each.offset for each in read]
        parts.append(len(read))
    assert (found, parts) == (list(range(10)), [3, 3, 3, 1])


@pytest.mark.parametrize("codec", [0, 1])
def test_names_of_headers_need_not_be_utf8(codec: int) -> None:
    """Kafka's clients in C take any bytes for a name. The record counts, and its name can be written again."""
    records = [stored("t", 0, 3 + at, Record(b"k", b"x" * 99, [("name", b"1")]), 9 + at) for at in range(3)]
    raw = one_batch(records).replace(b"name", b"\xffame", 2)
    data = sealed(bytearray(raw)) if codec == 0 else compressed_by(raw, "gzip", gzip.compress)
    found, reached = records_from(data, 4)
    assert [(each.offset, each.timestamp, each.key, each.value, list(each.headers)) for each in found] == [
        (4, 10, b"k", b"x" * 99, [("\udcffame", b"1")]),
        (5, 11, b"k", b"x" * 99, [("name", b"1")]),
    ]
    assert reached == 6


def test_a_batch_that_breaks_off_when_unpacked_is_refused() -> None:
    """Its checksum is right and its data can be decompressed, but they are no records."""
    plain = one_batch([stored("t", 0, 0, Record(b"k", b"v"))])
    for bad in (plain[:HEAD_BYTES] + b"\x7f" * 9, plain[:-1], plain + b"more"):
        (refused,) = records_from(compressed_by(bad, "gzip", gzip.compress), 0)[0]
        assert isinstance(refused, Unreadable)
    unknown = bytearray(plain)
    unknown[AT_ATTRIBUTES + 1] |= 6
    (refused,) = records_from(sealed(unknown), 0)[0]
    assert isinstance(refused, Unreadable)


@needs_kernel
@pytest.mark.parametrize("make", [core, kernel])
def test_it_becomes_a_dead_letter_and_is_counted_once(make: MakeEngine) -> None:
    """With the batch as its value, in both engines."""
    fold = Sessionizer(POLICY, 2, make, 4)
    fold.finish(None, -1)
    letters, *_ = fold.process([Unreadable(5, 7, b"bytes", "batch: offsets 5 to 9")])
    assert isinstance(letters.records, list)
    (letter,) = letters.records
    assert (letter.key, letter.value) == (None, b"bytes")
    assert dict(letter.headers or [])["code"] == UNREADABLE_BATCH.encode()
    assert dict(letter.headers or [])["reason"] == b"batch: offsets 5 to 9"
    assert dict(letter.headers or [])["source-offset"] == b"5"
    counts = fold._counts()
    assert (counts.events, counts.refused) == (1, 1)


@pytest.mark.parametrize("make", [core, pytest.param(kernel, marks=needs_kernel)])
def test_a_record_larger_than_its_topic_once_unpacked_has_a_letter(make: MakeEngine) -> None:
    """40 MiB of blanks in a few KiB, within the bound of a batch: the letter is shortened, so the topic takes it."""
    value = b" " * (40 * MIB)
    plain = PackedBatch(packed_alone(0, Record(b"k", value)))._build()
    records, _ = records_from(compressed_by(plain, "gzip", gzip.compress), 0)
    assert [len(each.value or b"") for each in records] == [len(value)]
    written = letter_of(records, make)
    letter = from_record(written.key, written.value, written.headers or [])
    assert (letter.code, letter.value_bytes, letter.is_shortened) == ("too_large", len(value), True)


@pytest.mark.parametrize("make", [core, pytest.param(kernel, marks=needs_kernel)])
def test_a_batch_as_large_as_its_topic_has_a_letter(make: MakeEngine) -> None:
    """Its letter holds the batch as its value, which is shortened like the value of a record."""
    batch = b"x" * (MAX_RECORD_BYTES - 100)
    written = letter_of([Unreadable(0, 7, batch, "batch: offsets 0 to 9")], make)
    letter = from_record(written.key, written.value, written.headers or [])
    assert (letter.code, letter.value_bytes, letter.is_shortened) == (UNREADABLE_BATCH, len(batch), True)


def letter_of(records: Sequence[Fetched], make: MakeEngine) -> Record:
    """The only dead letter of a batch, which fits its topic as the batch that a broker gets."""
    fold = Sessionizer(POLICY, 0, make, 1)
    fold.finish(None, -1)
    letters, *_ = fold.process(records)
    assert isinstance(letters.records, list)
    (letter,) = letters.records
    assert len(PackedBatch(packed_alone(0, letter))._build()) <= MAX_RECORD_BYTES
    return letter
