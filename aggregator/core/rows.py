"""From pages and dead letters to blocks of columns, one block a table."""

from collections.abc import Iterable, Sequence
from operator import attrgetter

import msgspec

from aggregator.core.tables import (
    BALANCE_FACTS,
    CONVERSATION_FACTS,
    DEAD_LETTER_FACTS,
    LEDGER_ENTRIES,
    TALLY_FACTS,
    USAGE_DAILY_FACTS,
    Column,
    Landing,
    Table,
    Telling,
)
from schemas.dead_letters import DeadLetter
from schemas.ledger import Page
from schemas.tallies import Tally

_Carried = tuple[object, object]
"""A carrier and one of the facts it carries."""


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


def page_blocks(pages: Iterable[Page]) -> list[Block]:
    """All that the pages state, in any order and repetition. The ledger comes first, what follows from it after.

    A key that several pages state has one row: that of the highest version. A table without rows has no block.
    """
    pages = list(pages)
    return _blocks(
        (LEDGER_ENTRIES, [(page, entry) for page in pages for entry in page.entries]),
        (CONVERSATION_FACTS, [(page, fact) for page in pages for fact in page.conversations]),
        (USAGE_DAILY_FACTS, [(page, usage) for page in pages for usage in page.usage]),
        (BALANCE_FACTS, [(page, page.balance) for page in pages]),
    )


def letter_blocks(letters: Iterable[tuple[Landing, DeadLetter]]) -> list[Block]:
    """The dead letters, one row a refused record. No letters, no block."""
    return _blocks((DEAD_LETTER_FACTS, list(letters)))


def tally_blocks(tallies: Iterable[tuple[Telling, Tally]]) -> list[Block]:
    """The tallies, one row each. No tallies, no block."""
    return _blocks((TALLY_FACTS, list(tallies)))


def _blocks(*stated: tuple[Table, Sequence[_Carried]]) -> list[Block]:
    return [_block(table, _latest(table, rows)) for table, rows in stated if rows]


def _block(table: Table, rows: Sequence[_Carried]) -> Block:
    return Block(
        table=table.name,
        names=[column.name for column in table.columns],
        types=[column.type for column in table.columns],
        columns=[_cells(column, rows) for column in table.columns],
    )


def _cells(column: Column, rows: Sequence[_Carried]) -> list[object]:
    value = attrgetter(column.attribute)
    if column.on_carrier:
        return [value(carrier) for carrier, _ in rows]
    return [value(fact) for _, fact in rows]


def _latest(table: Table, rows: Sequence[_Carried]) -> list[_Carried]:
    # The engine would drop the repeats too; a block without them is smaller and merges sooner.
    keys = zip(*(_cells(table.named(name), rows) for name in table.key), strict=True)
    versions: list[int] = [attrgetter("version")(carrier) for carrier, _ in rows]
    kept: dict[tuple[object, ...], int] = {}
    for at, key in enumerate(keys):
        seen = kept.get(key)
        if seen is None or versions[at] >= versions[seen]:
            kept[key] = at
    return [rows[at] for at in kept.values()]
