"""Raw bytes of a broker are read as Kafka's client reads them, record by record and by the kernel."""

from collections.abc import Sequence
from random import Random

import pytest
from aiokafka import ConsumerRecord
from aiokafka.errors import CorruptRecordException

from meter.kafka.fetched import Fetched, RawRecords, epoch_of, last_timestamp_ms, records_from, since
from meter.kafka.records import Record
from tests.kafka_batches import (
    AT_ATTRIBUTES,
    AT_CRC,
    BROKERS_TIME,
    CODECS,
    HEAD_BYTES,
    marker,
    one_batch,
    sealed,
    sent_bytes,
)
from tests.kafka_client import read_by_client
from tests.properties.memory_log import stored
from tests.properties.record_cases import much_spoken
from tests.properties.worlds import POLICY
from tests.sessionizer_engines import core, kernel, needs_kernel, parts


def record(offset: int, value: bytes | None = b"{}", key: bytes | None = b"k") -> ConsumerRecord:
    return stored("t", 0, offset, Record(key, value, [("h", b"1")] if offset % 2 else None), 5_000 + offset)


RECORDS = [record(offset) for offset in range(4, 12)] + [record(20, None), record(21, b"x" * 20_000, None)]
GAPS = one_batch([record(3), record(7)])
CASES = {
    "plain": (sent_bytes(RECORDS, 3), True),
    "cut off in the last batch": (sent_bytes(RECORDS, 3)[:-1], True),
    "cut off in its head": (sent_bytes(RECORDS[:3]) + one_batch(RECORDS[3:])[:40], True),
    "cut off before it says what it is": (sent_bytes(RECORDS[:3]) + one_batch(RECORDS[3:])[:16], True),
    "the broker's time": (one_batch(RECORDS[:5], attributes=BROKERS_TIME), True),
    "gaps": (GAPS, False),
    **{codec: (sent_bytes(RECORDS, 3, compression=number), False) for codec, number in CODECS.items()},
    "a codec a batch": (b"".join(one_batch([each], compression=at % 5) for at, each in enumerate(RECORDS)), False),
    "compressed, the broker's time": (one_batch(RECORDS[:5], compression=4, attributes=BROKERS_TIME), False),
    "a transaction's marker": (sent_bytes(RECORDS[:3]) + marker(7, 1), True),
    "nothing": (b"", True),
}


def seen(records: Sequence[Fetched]) -> list[tuple[object, ...]]:
    return [(each.offset, each.timestamp, each.key, each.value, list(each.headers)) for each in records]


@pytest.mark.parametrize("start", [0, 4, 5, 9, 21, 30])
@pytest.mark.parametrize("name", CASES)
def test_a_fetch_is_read_as_the_client_reads_it(name: str, start: int) -> None:
    """From any offset on, as bytes where they are plain."""
    data, is_plain = CASES[name]
    expected, next_offset = read_by_client(data, start)
    found, reached = records_from(data, start)
    assert isinstance(found, RawRecords) == is_plain or not expected
    assert (seen(found), len(found), reached) == (seen(expected), len(expected), next_offset)
    if expected:
        assert last_timestamp_ms(found) == expected[-1].timestamp
        for offset in (expected[0].offset, expected[-1].offset, expected[-1].offset + 1):
            assert seen(since(found, offset)) == [each for each in seen(expected) if int(str(each[0])) >= offset]


@pytest.mark.parametrize("compression", [0, *CODECS.values()])
def test_a_damaged_fetch_is_not_read(compression: int) -> None:
    """Each batch has its checksum."""
    data = bytearray(sent_bytes(RECORDS, 3, compression=compression))
    data[-3] ^= 1
    with pytest.raises(CorruptRecordException):
        records_from(bytes(data), 4)


@pytest.mark.parametrize("length", [-(2**31), -13, -12, -1, 0, 48])
def test_a_batch_that_is_shorter_than_its_head_is_not_read(length: int) -> None:
    """No checksum covers the length; and of no bytes at all the checksum is 0, which would fit for ever."""
    data = bytearray(sent_bytes(RECORDS[:3]))
    data[8:12] = length.to_bytes(4, "big", signed=True)
    data[AT_CRC:AT_ATTRIBUTES] = bytes(4)
    with pytest.raises(CorruptRecordException):
        records_from(bytes(data), 4)


@needs_kernel
@pytest.mark.parametrize("attributes", [0, BROKERS_TIME])
@pytest.mark.parametrize("seed", range(5))
def test_the_kernel_takes_it_as_if_it_were_records(seed: int, attributes: int) -> None:
    """All that is plain and all that is for others to judge, from an offset within a batch on."""
    spoken = enumerate(much_spoken(seed, 300), 100)
    records = [
        stored("chat-events", 3, at, Record(each.key, each.value, list(each.headers)), each.timestamp)
        for at, each in spoken
    ]
    sevens = [records[at : at + 7] for at in range(0, len(records), 7)]
    data = b"".join(one_batch(each, attributes=attributes) for each in sevens)
    raw = RawRecords(data, 103)
    told, _ = read_by_client(data, 103)
    ours, theirs = parts(core(POLICY, 2, 4), told), parts(kernel(POLICY, 2, 4), raw)
    assert theirs == ours
    assert sum(each.outcomes.total() for each in ours) == len(raw) == 297


@needs_kernel
def test_batches_that_break_off_do_no_harm() -> None:
    """A checksum fits the bytes that it was made of."""
    rng = Random(1)
    whole = one_batch([record(offset, b'{"specversion":"1.0"}') for offset in range(9)])
    refused = 0
    for _ in range(3_000):
        batch = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            batch[rng.randrange(HEAD_BYTES, len(batch))] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
        raw = RawRecords(sealed(batch), 0)
        engine = kernel(POLICY, 0)._kernel  # type: ignore[attr-defined]
        engine.begin_raw(raw.data, raw.bytes_count, 0)
        try:
            while engine.process() < len(raw):
                pass
        except ValueError:
            refused += 1
    assert 500 < refused < 3_000


def test_the_epoch_of_a_fetch_is_that_of_its_newest_batch() -> None:
    """Also where that batch is left out, and where batches have to be decoded."""
    plain, later = bytearray(one_batch(RECORDS[:3])), bytearray(one_batch(RECORDS[3:], compression=1))
    end = bytearray(marker(30, 1))
    for epoch, each in enumerate((plain, later, end), 5):
        each[12:16] = epoch.to_bytes(4, "big")
    for data, epoch in ((plain, 5), (plain + later, 6), (plain + end, 7), (plain + later + end[:-1], 6), (b"", -1)):
        sent = bytes(data)
        assert epoch_of(sent, records_from(sent, 4)[0]) == epoch
