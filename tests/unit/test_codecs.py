"""Compressed batches hold the same records as plain ones, in each codec and in each form that clients write it in."""

import gzip
import sys
from collections.abc import Callable, Sequence
from typing import Final

import cramjam
import pytest
from aiokafka import codec as client
from hypothesis import given
from hypothesis import strategies as st

from meter.kafka.fetched import Fetched, RawRecords, records_from
from meter.kafka.records import Record
from schemas.codecs import CodecsMissingError, require_codecs
from tests.kafka_batches import CODECS, compressed_by, one_batch, sent_bytes
from tests.kafka_client import read_by_client
from tests.properties.memory_log import stored

LARGE: Final = bytes(range(256)) * 4096
"""1 MiB: more than one block of snappy (32 KiB) and of lz4 (64 KiB)."""


def seen(records: Sequence[Fetched]) -> list[tuple[object, ...]]:
    return [(each.offset, each.timestamp, each.key, each.value, list(each.headers)) for each in records]


def lz4(payload: bytes, *, checksum: bool, linked: bool) -> bytes:
    compressor = cramjam.lz4.Compressor(content_checksum=checksum, block_linked=linked)
    compressor.compress(payload)
    return bytes(compressor.finish())


def zstd_without_length(payload: bytes) -> bytes:
    """As a streaming encoder writes it, which does not know the length when it begins."""
    compressor = cramjam.zstd.Compressor()
    compressor.compress(payload)
    return bytes(compressor.finish())


FORMS: Final[dict[str, tuple[str, Callable[[bytes], bytes]]]] = {
    "gzip, fast": ("gzip", lambda payload: gzip.compress(payload, 1)),
    "snappy in blocks, as Java": ("snappy", client.snappy_encode),
    "snappy in one block, as librdkafka": ("snappy", lambda payload: bytes(cramjam.snappy.compress_raw(payload))),
    "lz4": ("lz4", lambda payload: lz4(payload, checksum=False, linked=False)),
    "lz4 with a checksum": ("lz4", lambda payload: lz4(payload, checksum=True, linked=False)),
    "lz4 with linked blocks": ("lz4", lambda payload: lz4(payload, checksum=False, linked=True)),
    "zstd": ("zstd", lambda payload: bytes(cramjam.zstd.compress(payload))),
    "zstd without its length": ("zstd", zstd_without_length),
}

drawn_records = st.lists(
    st.tuples(
        st.none() | st.binary(max_size=20),
        st.none() | st.binary(max_size=200) | st.just(LARGE[:70_000]),
        st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=5)), max_size=2),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=12,
)


@given(drawn_records, st.sampled_from(sorted(CODECS)), st.integers(1, 5), st.integers(0, 30))
def test_compressed_and_plain_batches_give_the_same_records(
    drawn: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]], int]], codec: str, most: int, start: int
) -> None:
    """In each codec, from each offset on, where offsets are missing too; the next offset to fetch is the same."""
    records, offset = [], 3
    for key, value, headers, missing in drawn:
        offset += 1 + missing
        records.append(stored("t", 0, offset, Record(key, value, headers), 1_000 + offset))
    plain, plain_next = records_from(sent_bytes(records, most), start)
    found, found_next = records_from(sent_bytes(records, most, compression=CODECS[codec]), start)
    assert (seen(found), found_next) == (seen(plain), plain_next)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_codec_is_read(form: str) -> None:
    """Clients differ in how they frame and checksum what they compress."""
    codec, compress = FORMS[form]
    plain = one_batch([stored("t", 0, 7 + at, Record(b"k", value), 5) for at, value in enumerate((b"{}", LARGE, b""))])
    found, reached = records_from(compressed_by(plain, codec, compress), 7)
    assert not isinstance(found, RawRecords)
    assert (seen(found), reached) == (seen(read_by_client(plain, 7)[0]), 10)


def test_a_complete_installation_reads_every_codec() -> None:
    """Nothing is raised, and no client has a codec that the check does not know."""
    require_codecs()
    assert {name.removeprefix("has_") for name in vars(client) if name.startswith("has_")} == set(CODECS)
    assert all(getattr(client, f"has_{name}")() for name in CODECS)


def test_a_missing_library_is_named_with_its_codecs(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the sentence that says what to do."""
    monkeypatch.setitem(sys.modules, "cramjam", None)
    with pytest.raises(CodecsMissingError) as refusal:
        require_codecs()
    assert str(refusal.value) == (
        "cannot read batches compressed with snappy, lz4, zstd: the package cramjam is missing; "
        "install the product again"
    )
