"""From updates, dead letters and comparisons to blocks of columns: one block for each table that gets rows."""

from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from operator import attrgetter
from typing import NamedTuple

import msgspec

from aggregator.core.holdings import OFFSETS_HELD, TOPICS_HELD, HeldState, OffsetHeld
from aggregator.core.tables import (
    BALANCE_FACTS,
    CONVERSATION_FACTS,
    DEAD_LETTER_FACTS,
    EVENT_COUNT_FACTS,
    LEDGER_ENTRIES,
    USAGE_DAILY_FACTS,
    Column,
    ComparisonKey,
    LetterLocation,
    Table,
)
from schemas.dead_letters import DeadLetter
from schemas.event_counts import CountComparison
from schemas.ledger import LedgerUpdate
from schemas.topic_lives import TopicLife


class _Rows(NamedTuple):
    """Rows before they are columns. Row number n is made from `carriers[n]` and `facts[n]` (`tables.py`)."""

    carriers: Sequence[object]
    facts: Sequence[object]


class Block(msgspec.Struct, frozen=True):
    """The rows of one insert, column by column. All columns have the same length, which is at least 1."""

    table: str
    names: list[str]
    types: list[str]
    columns: list[list[object]]

    @property
    def rows(self) -> int:
        """How many rows the block holds."""
        return len(self.columns[0])


def ledger_update_blocks(updates: Iterable[LedgerUpdate]) -> list[Block]:
    """The rows of updates, which may come in any order and repeatedly. Must be inserted in the order of the blocks.

    The balances come last, because a balance says that all rows up to its version are there. An update without one is a
    part, and the rest of it follows. If several updates have
    rows with the same key, only the one with the highest version is kept. A table without rows has no block.
    """
    updates = list(updates)
    complete = [update for update in updates if update.balance is not None]
    return _blocks(
        (LEDGER_ENTRIES, _carried(updates, [update.entries for update in updates])),
        (CONVERSATION_FACTS, _carried(updates, [update.conversations for update in updates])),
        (USAGE_DAILY_FACTS, _carried(updates, [update.usage for update in updates])),
        (BALANCE_FACTS, _Rows(complete, [update.balance for update in complete])),
    )


def letter_blocks(letters: Iterable[tuple[LetterLocation, DeadLetter]]) -> list[Block]:
    """The rows of dead letters, one for each refused record. Empty if there are no letters."""
    return _blocks((DEAD_LETTER_FACTS, _unzipped(letters)))


def comparison_blocks(comparisons: Iterable[tuple[ComparisonKey, CountComparison]]) -> list[Block]:
    """The rows of comparisons, the newest of each key. Empty if there are no comparisons."""
    return _blocks((EVENT_COUNT_FACTS, _unzipped(comparisons)))


def offset_blocks(offsets: Iterable[OffsetHeld]) -> list[Block]:
    """The rows that say up to which offsets the tables hold their partitions. Empty if there are no offsets."""
    rows = list(offsets)
    return _blocks((OFFSETS_HELD, _Rows(rows, rows)))


def lives_block(state: HeldState, lives: Iterable[TopicLife]) -> Block:
    """The rows that say which lives of the topics, at least one, the tables hold."""
    rows = list(lives)
    return _block(TOPICS_HELD, _Rows([state] * len(rows), rows))


def _carried(updates: Sequence[LedgerUpdate], facts: Sequence[Sequence[object]]) -> _Rows:
    """Pair each fact with its update: `facts[n]` are those of `updates[n]`."""
    carriers = chain.from_iterable(map(repeat, updates, map(len, facts)))
    return _Rows(list(carriers), list(chain.from_iterable(facts)))


def _unzipped(rows: Iterable[tuple[object, object]]) -> _Rows:
    pairs = list(rows)
    return _Rows([carrier for carrier, _ in pairs], [fact for _, fact in pairs])


def _blocks(*rows_by_table: tuple[Table, _Rows]) -> list[Block]:
    return [_block(table, _latest(table, rows)) for table, rows in rows_by_table if rows.facts]


def _block(table: Table, rows: _Rows) -> Block:
    return Block(
        table=table.name,
        names=[column.name for column in table.columns],
        types=[column.type for column in table.columns],
        columns=[_cells(column, rows) for column in table.columns],
    )


def _cells(column: Column, rows: _Rows) -> list[object]:
    return list(map(attrgetter(column.attribute), rows.carriers if column.on_carrier else rows.facts))


def _latest(table: Table, rows: _Rows) -> _Rows:
    # ClickHouse would replace repeated rows itself. A block without them is smaller, and merges take less time.
    keys = list(zip(*(_cells(table.named(name), rows) for name in table.key), strict=True))
    if len(set(keys)) == len(keys):
        return rows
    versions: list[int] = list(map(attrgetter("version"), rows.carriers))
    kept: dict[tuple[object, ...], int] = {}
    for at, key in enumerate(keys):
        seen = kept.get(key)
        if seen is None or versions[at] >= versions[seen]:
            kept[key] = at
    return _Rows([rows.carriers[at] for at in kept.values()], [rows.facts[at] for at in kept.values()])
