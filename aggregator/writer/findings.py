"""Findings: the decoded records that are written to ClickHouse together."""

import logging
from collections.abc import Mapping

import msgspec

from aggregator import metrics
from aggregator.core.holdings import OffsetHeld
from aggregator.core.records import (
    Record,
    UnusableUpdateError,
    location_of,
    read_comparison,
    read_ledger_update,
    read_letter,
    unfit,
)
from aggregator.core.tables import ComparisonKey, LetterLocation
from schemas.dead_letters import DeadLetter
from schemas.event_counts import CountComparison
from schemas.headers import size_of
from schemas.ledger import LedgerUpdate
from schemas.topics import DEAD_LETTERS, EVENT_COUNTS, LEDGER

logger = logging.getLogger(__name__)


class Findings(msgspec.Struct):
    """Decoded records of the three topics, and of each partition the offset after the last of them."""

    updates: list[LedgerUpdate] = []
    letters: list[tuple[LetterLocation, DeadLetter]] = []
    comparisons: list[tuple[ComparisonKey, CountComparison]] = []
    next_offsets: dict[tuple[str, int], int] = {}
    rows: int = 0
    size_bytes: int = 0
    """The number of rows that they become, and the bytes of the records."""
    left_out: frozenset[tuple[int, int]] = frozenset()
    """Partition and offset of each record of the ledger that an operator has left out."""
    locations: list[str] = []
    """Where each of `updates` lies."""

    def add(self, record: Record) -> None:
        """Decode a record. Raises UnusableUpdateError."""
        if record.topic == LEDGER.name:
            if (record.partition, record.offset) not in self.left_out:
                self._add_update(record)
        elif record.topic == EVENT_COUNTS.name:
            self._add_comparison(record)
        else:
            assert record.topic == DEAD_LETTERS.name, record.topic
            self.letters.append(read_letter(record))
            self.rows += 1
        self.size_bytes += len(record.key or b"") + len(record.value or b"") + size_of(record.headers)

    def _add_update(self, record: Record) -> None:
        update = read_ledger_update(record)
        self.updates.append(update)
        self.locations.append(location_of(record.topic, record.partition, record.offset))
        self.rows += len(update.entries) + len(update.conversations) + len(update.usage) + 1

    def _add_comparison(self, record: Record) -> None:
        comparison = read_comparison(record)
        if comparison is None:
            location = location_of(record.topic, record.partition, record.offset)
            logger.error("%s is not a comparison of counts and is skipped: no charge depends on it", location)
            metrics.UNREADABLE.labels(record.topic).inc()
        else:
            self.comparisons.append(comparison)
            self.rows += 1

    def unusable(self) -> UnusableUpdateError | None:
        """Return the first update whose rows no table can hold; None if there is none. Asked after an insert failed."""
        for location, update in zip(self.locations, self.updates, strict=True):
            if reason := unfit(update):
                return UnusableUpdateError(location, reason)
        return None

    def held(self, topic_ids: Mapping[str, str]) -> list[OffsetHeld]:
        """Return what the tables hold once all rows are there. `topic_ids` are the ids of the topics by name."""
        return [
            OffsetHeld(topic, topic_ids.get(topic, ""), number, offset)
            for (topic, number), offset in self.next_offsets.items()
        ]
