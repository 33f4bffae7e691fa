"""Refused records, from the topic into the table, byte for byte."""

from hashlib import sha256

import msgspec
import pytest

from aggregator.clickhouse.client import ClickHouse
from aggregator.core.records import UnusableUpdateError, read_ledger_update, read_letter
from aggregator.core.rows import letter_blocks
from schemas.dead_letters import DeadLetter
from schemas.headers import Headers
from schemas.ledger import encode_ledger_update
from tests.aggregator.facts import entry, update


class Record(msgspec.Struct, frozen=True):
    """A Kafka record."""

    value: bytes | None
    offset: int = 5
    key: bytes | None = b"workspace"
    headers: Headers = ()
    topic: str = "dead-letters"
    partition: int = 1
    timestamp: int = 1_700_000_000_123


def refused(value: bytes | None, at: int = 7) -> Record:
    letter = DeadLetter("malformed", "value: not JSON", "chat-events", 3, at, b"workspace", value)
    return Record(value=value, headers=letter.headers())


def write(clickhouse: ClickHouse, *records: Record) -> None:
    for block in letter_blocks([read_letter(record) for record in records]):
        clickhouse.insert(block)


@pytest.mark.parametrize("value", [b"\xff\xfe{\x00", b"", b"{}", "Zürich".encode(), b"x" * 10_000_000])
def test_payload_is_kept_byte_for_byte(clickhouse: ClickHouse, value: bytes) -> None:
    """All refused bytes, UTF-8 or not, empty or 10 MB, are in the table whole."""
    write(clickhouse, refused(value))
    ((digest, null),) = clickhouse.query("SELECT lower(hex(SHA256(payload))), isNull(payload) FROM dead_letters")
    assert digest == sha256(value).hexdigest()
    assert not null


def test_record_without_value_is_told_from_an_empty_one(clickhouse: ClickHouse) -> None:
    """A null value is a row with a null payload, beside rows that have one."""
    write(clickhouse, refused(None, at=1), refused(b"", at=2), refused(b"\xff", at=3))
    rows = clickhouse.query("SELECT offset, isNull(payload), hex(payload) FROM dead_letters ORDER BY offset")
    assert [row[:2] for row in rows] == [(1, 1), (2, 0), (3, 0)]
    assert rows[2][2] == "FF"


def test_location_reason_and_code_are_columns(clickhouse: ClickHouse) -> None:
    """An analyst finds why and where, by the full names and by the short ones."""
    write(clickhouse, refused(b"x"))
    assert clickhouse.query(
        "SELECT reason, code, topic, partition, offset, source_topic, source_partition, source_offset, key "
        "FROM dead_letters"
    ) == [("value: not JSON", "malformed", "chat-events", 3, 7, "chat-events", 3, 7, "workspace")]


def test_repeated_letter_is_one_row(clickhouse: ClickHouse) -> None:
    """The same record refused again after a crash is counted once."""
    write(clickhouse, refused(b"x"))
    write(clickhouse, refused(b"x"))
    assert clickhouse.query("SELECT count() FROM dead_letters") == [(1,)]


@pytest.mark.parametrize("headers", [(), (("source-offset", b"seven"), ("source-topic", b"x")), (("code", b"late"),)])
def test_record_of_another_producer_is_known_by_its_own_location(headers: Headers) -> None:
    """Records that no meter wrote are dead letters too, each its own row, with any headers."""
    _, letter = read_letter(Record(value=b"?", headers=headers))
    assert (letter.source_topic, letter.source_partition, letter.source_offset) == ("dead-letters", 1, 5)
    assert letter.value == b"?"


def test_update_is_read_as_it_was_written() -> None:
    """Nothing is lost between the wallet's update and ours."""
    written = update(1, entries=[entry(1)])
    assert read_ledger_update(Record(value=encode_ledger_update(written), topic="ledger")) == written


@pytest.mark.parametrize("value", [None, b"", b"junk", b'{"version":1}', b"\xff"])
def test_record_that_is_no_ledger_update_is_refused_with_its_location(value: bytes | None) -> None:
    """What is not an update stops the aggregator rather than being skipped, and says where it lies."""
    with pytest.raises(UnusableUpdateError, match=r"^ledger/1/5 cannot be written .*leave-out ledger/1/5`"):
        read_ledger_update(Record(value=value, topic="ledger"))
