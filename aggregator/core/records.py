"""Decoding Kafka records: the values of ledger, event-counts and dead-letters."""

from typing import Protocol
from zlib import crc32

import msgspec

from aggregator.core.tables import COMPARISON_SLOTS, ComparisonKey, LetterLocation
from schemas.dead_letters import DeadLetter, from_record
from schemas.delivery import Fetched
from schemas.event_counts import CountComparison, decode_comparison
from schemas.formats import LEDGER_FORMAT, refuse_newer_json
from schemas.ledger import LedgerUpdate, decode_ledger_update


class Record(Fetched, Protocol):
    """A fetched record with its topic and partition."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...


class NotALedgerUpdateError(Exception):
    """A record of the ledger topic is not an update. It must not be skipped, because that could lose charges."""


def read_ledger_update(record: Record) -> LedgerUpdate:
    """Decode a record of the ledger topic. Raises NotALedgerUpdateError, which names the record's location.

    Raises NewerFormatError if a newer version of the product wrote the record.
    """
    try:
        return decode_ledger_update(record.value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError) as broken:
        location = f"{record.topic}, partition {record.partition}, offset {record.offset}"
        refuse_newer_json(location, record.value, LEDGER_FORMAT)
        raise NotALedgerUpdateError(f"{location}: not an update of the ledger: {broken}") from broken


def read_comparison(record: Record) -> tuple[ComparisonKey, CountComparison] | None:
    """Decode a record of the topic event-counts. Returns None if it is not a comparison.

    Such a record can be skipped, unlike one of the ledger: no charge depends on it.
    """
    try:
        comparison = decode_comparison(record.value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    slot = crc32(str(comparison.origin_offset).encode()) % COMPARISON_SLOTS
    return ComparisonKey(slot, comparison.version), comparison


def read_letter(record: Record) -> tuple[LetterLocation, DeadLetter]:
    """Decode a record of the topic dead-letters. Never fails: a record without the meter's headers is a letter as well.

    Its source is then its own location, so that two such records do not replace each other in the table.
    """
    location = LetterLocation(record.topic, record.partition, record.offset, max(record.timestamp, 0))
    try:
        letter = from_record(record.key, record.value, record.headers)
    except ValueError:  # A header that must be a number is none, or too large for the table.
        letter = from_record(record.key, record.value, [])
    if letter.source_partition >= 0 and letter.source_offset >= 0:
        return location, letter
    return location, msgspec.structs.replace(
        letter, source_topic=location.topic, source_partition=location.partition, source_offset=location.version
    )
