"""Decoding Kafka records: the values of ledger, event-counts and dead-letters."""

from typing import Final, Protocol
from zlib import crc32

import msgspec

from aggregator.core.fitting import why_unfit
from aggregator.core.rows import comparison_blocks, ledger_update_blocks
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


class UnusableUpdateError(Exception):
    """A record of the ledger cannot be written. It must not be skipped unseen, because that could lose charges.

    The message names the record's location and what to do; `reason` is only why it cannot be written.
    """

    def __init__(self, location: str, reason: str) -> None:
        super().__init__(
            f"{location} cannot be written to ClickHouse: {reason}; no charge is passed over unseen: if the meter "
            "wrote it, start the version of this program that belongs to the meter's; if another program did, run "
            f"`python -m aggregator leave-out {location}`, which writes down that it is left out"
        )
        self.reason = reason


_BROKEN: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)


def location_of(topic: str, partition: int, offset: int) -> str:
    """TOPIC/PARTITION/OFFSET."""
    return f"{topic}/{partition}/{offset}"


def read_ledger_update(record: Record) -> LedgerUpdate:
    """Decode a record of the ledger topic. Raises UnusableUpdateError, which names the record's location.

    Raises NewerFormatError if a newer version of the product wrote the record.
    """
    try:
        return decode_ledger_update(record.value or b"")
    except _BROKEN as broken:
        location = location_of(record.topic, record.partition, record.offset)
        refuse_newer_json(location, record.value, LEDGER_FORMAT)
        raise UnusableUpdateError(location, f"it is not an update of the ledger ({broken})") from broken


def unfit(update: LedgerUpdate) -> str | None:
    """Return why the tables cannot hold an update's rows, in words; None if they can. Asked after an insert failed."""
    return next((reason for block in ledger_update_blocks([update]) if (reason := why_unfit(block))), None)


def read_comparison(record: Record) -> tuple[ComparisonKey, CountComparison] | None:
    """Decode a record of the topic event-counts. Returns None if it is not a comparison, or one that no table can hold.

    Such a record can be skipped, unlike one of the ledger: no charge depends on it.
    """
    try:
        comparison = decode_comparison(record.value or b"")
    except _BROKEN:
        return None
    slot = crc32(str(comparison.origin_offset).encode()) % COMPARISON_SLOTS
    found = ComparisonKey(slot, comparison.version), comparison
    return None if any(map(why_unfit, comparison_blocks([found]))) else found


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
