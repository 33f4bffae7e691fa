"""Findings: the decoded records that are written to ClickHouse together."""

from collections.abc import Mapping

import msgspec

from aggregator.core.holdings import OffsetHeld
from aggregator.core.records import Record, read_comparison, read_ledger_update, read_letter
from aggregator.core.tables import ComparisonKey, LetterLocation
from schemas.dead_letters import DeadLetter
from schemas.event_counts import CountComparison
from schemas.headers import size_of
from schemas.ledger import LedgerUpdate
from schemas.topics import DEAD_LETTERS, EVENT_COUNTS, LEDGER


class Findings(msgspec.Struct):
    """Decoded records of the three topics, and of each partition the offset after the last of them."""

    updates: list[LedgerUpdate] = []
    letters: list[tuple[LetterLocation, DeadLetter]] = []
    comparisons: list[tuple[ComparisonKey, CountComparison]] = []
    next_offsets: dict[tuple[str, int], int] = {}
    rows: int = 0
    size_bytes: int = 0
    """The number of rows that they become, and the bytes of the records."""

    def add(self, record: Record) -> None:
        """Decode a record. Raises NotALedgerUpdateError."""
        if record.topic == LEDGER.name:
            update = read_ledger_update(record)
            self.updates.append(update)
            self.rows += len(update.entries) + len(update.conversations) + len(update.usage) + 1
        elif record.topic == EVENT_COUNTS.name:
            comparison = read_comparison(record)
            self.comparisons += [comparison] if comparison else []
            self.rows += 1
        else:
            assert record.topic == DEAD_LETTERS.name, record.topic
            self.letters.append(read_letter(record))
            self.rows += 1
        self.size_bytes += len(record.key or b"") + len(record.value or b"") + size_of(record.headers)

    def held(self, topic_ids: Mapping[str, str]) -> list[OffsetHeld]:
        """Return what the tables hold once all rows are there. `topic_ids` are the ids of the topics by name."""
        return [
            OffsetHeld(topic, topic_ids.get(topic, ""), number, offset)
            for (topic, number), offset in self.next_offsets.items()
        ]
