"""From Kafka records to updates and dead letters."""

from typing import Protocol
from zlib import crc32

import msgspec

from aggregator.core.tables import COMPARISON_SLOTS, ComparisonKey, LetterLocation
from schemas.dead_letters import DeadLetter, from_record
from schemas.delivery import Fetched
from schemas.event_counts import CountComparison, decode_comparison
from schemas.ledger import LedgerUpdate, decode_ledger_update


class Record(Fetched, Protocol):
    """A fetched record with the location where it lies."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...


class NotALedgerUpdateError(Exception):
    """A record on the ledger topic that no meter wrote. Skipping it could lose money, so nobody does."""


def read_ledger_update(record: Record) -> LedgerUpdate:
    """The update that a record of the ledger topic holds. Raises NotALedgerUpdateError, which says where the record lies."""
    try:
        return decode_ledger_update(record.value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError) as broken:
        location = f"{record.topic}, partition {record.partition}, offset {record.offset}"
        raise NotALedgerUpdateError(f"{location}: not an update of the ledger: {broken}") from broken


def read_comparison(record: Record, wallet_partitions: int) -> tuple[ComparisonKey, CountComparison] | None:
    """The comparison that a record of the comparisons topic holds; None for a stranger's record, which counts nothing here."""
    try:
        comparison = decode_comparison(record.value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    slot = crc32(str(comparison.origin_offset).encode()) % COMPARISON_SLOTS
    return ComparisonKey(wallet_partitions, slot, comparison.version), comparison


def read_letter(record: Record) -> tuple[LetterLocation, DeadLetter]:
    """The dead letter that a record of the dead-letters topic holds. Every record there is one, a stranger's too."""
    location = LetterLocation(record.topic, record.partition, record.offset, max(record.timestamp, 0))
    try:
        letter = from_record(record.key, record.value, list(record.headers))
    except ValueError:  # A location that is not a number.
        letter = from_record(record.key, record.value, [])
    if letter.source_partition >= 0 and letter.source_offset >= 0:
        return location, letter
    # Without a source of its own a letter is known by its own location, or strangers would overwrite one another.
    return location, msgspec.structs.replace(
        letter, source_topic=location.topic, source_partition=location.partition, source_offset=location.version
    )
