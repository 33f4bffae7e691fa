"""Records of the ledger that an operator has decided to leave out. Each is a dead letter in ClickHouse only.

No charge is passed over unseen: a worker ends at a record that it cannot write, until such a letter names it.
"""

import time
from typing import Final

from aggregator.clickhouse.client import ClickHouse
from aggregator.core.records import Record
from aggregator.core.rows import letter_blocks
from aggregator.core.tables import DEAD_LETTER_FACTS, LetterLocation
from schemas.dead_letters import DeadLetter
from schemas.shortened_letters import fitted
from schemas.topics import LEDGER

CODE: Final = "internal"


def read(clickhouse: ClickHouse) -> frozenset[tuple[int, int]]:
    """Return partition and offset of each record of the ledger that is left out."""
    rows = clickhouse.query(
        f"SELECT source_partition, source_offset FROM {DEAD_LETTER_FACTS.name} FINAL "
        f"WHERE source_topic = '{LEDGER.name}' AND code = '{CODE}'"
    )
    return frozenset((int(partition), int(offset)) for partition, offset in rows)


def leave_out(clickhouse: ClickHouse, record: Record, reason: str) -> None:
    """Write that a record of the ledger is left out, and why. Safe to repeat."""
    location = LetterLocation(record.topic, record.partition, record.offset, int(time.time() * 1000))
    letter = DeadLetter(CODE, reason, record.topic, record.partition, record.offset, record.key, record.value)
    for block in letter_blocks([(location, fitted(letter))]):
        clickhouse.insert(block)
