"""From updates and dead letters to blocks of columns, one block a table."""

from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from operator import attrgetter
from typing import NamedTuple

import msgspec

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


class _Rows(NamedTuple):
    """The carriers and the facts of rows, side by side: a fact may share its carrier with others."""

    carriers: Sequence[object]
    facts: Sequence[object]


class Block(msgspec.Struct, frozen=True):
    """Rows of one table, column by column: what an insert takes. All columns have the same length, at least 1."""

    table: str
    names: list[str]
    types: list[str]
    columns: list[list[object]]

    @property
    def rows(self) -> int:
        """How many rows the block holds."""
        return len(self.columns[0])


def ledger_update_blocks(updates: Iterable[LedgerUpdate]) -> list[Block]:
    """All that the updates state, in any order and repetition. The ledger comes first, what follows from it after.

    A key that several updates state has one row: that of the highest version. A table without rows has no block.
    """
    updates = list(updates)
    return _blocks(
        (LEDGER_ENTRIES, _carried(updates, [update.entries for update in updates])),
        (CONVERSATION_FACTS, _carried(updates, [update.conversations for update in updates])),
        (USAGE_DAILY_FACTS, _carried(updates, [update.usage for update in updates])),
        (BALANCE_FACTS, _Rows(updates, [update.balance for update in updates])),
    )


def letter_blocks(letters: Iterable[tuple[LetterLocation, DeadLetter]]) -> list[Block]:
    """The dead letters, one row a refused record. No letters, no block."""
    return _blocks((DEAD_LETTER_FACTS, _unzipped(letters)))


def comparison_blocks(comparisons: Iterable[tuple[ComparisonKey, CountComparison]]) -> list[Block]:
    """The comparisons, one row each. No comparisons, no block."""
    return _blocks((EVENT_COUNT_FACTS, _unzipped(comparisons)))


def _carried(updates: Sequence[LedgerUpdate], facts: Sequence[Sequence[object]]) -> _Rows:
    """Each update as often as it has facts, and all facts."""
    carriers = chain.from_iterable(map(repeat, updates, map(len, facts)))
    return _Rows(list(carriers), list(chain.from_iterable(facts)))


def _unzipped(rows: Iterable[tuple[object, object]]) -> _Rows:
    both = list(rows)
    return _Rows([carrier for carrier, _ in both], [fact for _, fact in both])


def _blocks(*stated: tuple[Table, _Rows]) -> list[Block]:
    return [_block(table, _latest(table, rows)) for table, rows in stated if rows.facts]


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
    # The engine would drop the repeats too; a block without them is smaller and merges sooner.
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
