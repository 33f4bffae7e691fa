"""Differences: the first rows of a workspace that do not agree, with the figures that both tables state.

`sums` finds that a pair of a workspace differs. The functions here name the rows, to people and to programs.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from aggregator.core.reconciliation.sums import (
    CHARGES,
    DAY,
    EVENTS,
    LEDGER_BALANCES,
    LEDGER_ROLLUPS,
    UNITS_LEDGER,
    UNITS_ROLLUPS,
    Figures,
    Row,
    Sums,
    text,
)

FIRST_ROWS: Final = 10
"""How many rows of one pair of one workspace are named, at most."""


class Difference(msgspec.Struct, frozen=True):
    """Two figures that have to be equal and are not: `one` in `one_table`, `other` in `other_table`.

    `scope` is a workspace's id, or TOPIC/PARTITION. `row` and `figure` say in words which row and which column or sum.
    """

    pair: str
    scope: str
    row: str
    figure: str
    one_table: str
    one: int
    other_table: str
    other: int


class RowComparison(msgspec.Struct, frozen=True):
    """How two tables of a pair are compared row by row. `key`, `shown` and `figures` are SQL expressions."""

    pair: str
    one_table: str
    other_table: str
    key: tuple[str, str]
    """The key of a row, for either table. The rows of one key have to add up to the same in both tables."""
    shown: str
    """The name of a row for people. `{key}` stands for the key."""
    figures: Figures

    def sql(self, workspace_id: str) -> str:
        """Selects the first keys whose figures differ: the name to show, then for each figure both tables' sums."""
        sums = ", ".join(f"sum(one_{at}) AS ones_{at}, sum(other_{at}) AS others_{at}" for at in self._numbers)
        unequal = " OR ".join(f"ones_{at} != others_{at}" for at in self._numbers)
        return f"""SELECT {self.shown.format(key="key")} AS shown, {sums} FROM ({self._side(0, workspace_id)}
            UNION ALL {self._side(1, workspace_id)}) GROUP BY key HAVING {unequal} ORDER BY shown LIMIT {FIRST_ROWS}"""

    def differences(self, workspace_id: str, rows: Iterable[Row]) -> Iterator[Difference]:
        """The differences in an answer to `sql`."""
        for shown, *sums in rows:
            for at, figure in enumerate(self.figures):
                one, other = sums[2 * at : 2 * at + 2]
                if one != other:
                    yield Difference(
                        self.pair, workspace_id, shown, figure, self.one_table, one, self.other_table, other
                    )

    @property
    def _numbers(self) -> range:
        return range(len(self.figures))

    def _side(self, side: int, workspace_id: str) -> str:
        table = (self.one_table, self.other_table)[side]
        cells = [
            f"toInt64({figure if side == number else 0}) AS {name}_{at}"
            for at, both in enumerate(self.figures.values())
            for number, (name, figure) in enumerate(zip(("one", "other"), both, strict=True))
        ]
        return (
            f"SELECT {self.key[side]} AS key, {', '.join(cells)} FROM {table} FINAL "
            f"WHERE workspace_id = {text(workspace_id)}"
        )


BY_ROW: Final = {
    each.pair: each
    for each in (
        RowComparison(
            UNITS_LEDGER,
            "ledger_entries",
            "conversation_facts",
            ("conversation_id", "conversation_id"),
            "concat('conversation ', {key})",
            CHARGES,
        ),
        RowComparison(
            UNITS_ROLLUPS,
            "conversation_facts",
            "usage_daily_facts",
            ("(bot_id, toDate(first_at, 'UTC'))", "(bot_id, day)"),
            "concat('bot ', {key}.1, ', ', toString({key}.2))",
            DAY,
        ),
        RowComparison(
            LEDGER_ROLLUPS,
            "ledger_entries",
            "usage_daily_facts",
            ("bot_id", "bot_id"),
            "concat('bot ', {key})",
            CHARGES,
        ),
    )
}
"""The pairs with checksums, by name. A checksum shows that something differs; only these comparisons show which row."""


def of_workspace(pair: str, sums: Sums) -> Iterator[Difference]:
    """The differences of a pair that the sums show without a further query."""
    balance, ledger, units, rollup = sums
    compared: dict[str, list[tuple[str, str, int, int]]] = {
        EVENTS: [
            ("conversation_facts", "messages of closed conversations", units.messages, balance.messages),
            ("usage_daily_facts", "occurrences", rollup.occurrences, balance.occurrences),
        ],
        UNITS_LEDGER: [("conversation_facts", "rows", units.conversations, balance.conversations)],
        LEDGER_BALANCES: [
            ("ledger_entries", "rows", ledger.entries, balance.entries),
            ("ledger_entries", "last seq", ledger.last_seq, balance.entries),
            ("ledger_entries", "free_micros", ledger.free_micros, balance.free_micros),
            ("ledger_entries", "paid_micros", ledger.paid_micros, balance.paid_micros),
            ("ledger_entries", "lapsed_micros", ledger.lapsed_micros, balance.lapsed_micros),
        ],
    }
    for table, figure, one, other in compared.get(pair, []):
        if one != other:
            yield Difference(pair, balance.workspace_id, "all rows", figure, table, one, "balance_facts", other)


def missing_entries_sql(workspace_id: str, entries: int) -> str:
    """Selects the first numbers from 1 to `entries` that are the `seq` of no entry."""
    present = f"SELECT seq FROM ledger_entries FINAL WHERE workspace_id = {text(workspace_id)}"
    return (
        f"SELECT number FROM numbers(1, {entries}) WHERE number NOT IN ({present}) ORDER BY number LIMIT {FIRST_ROWS}"
    )


def of_missing_entries(workspace_id: str, rows: Iterable[Row]) -> Iterator[Difference]:
    """A difference for each number in an answer to `missing_entries_sql`."""
    for (seq,) in rows:
        yield Difference(LEDGER_BALANCES, workspace_id, f"entry {seq}", "rows", "ledger_entries", 0, "balance_facts", 1)


def of_incomplete(sums: Sums) -> Difference:
    """The difference of a workspace whose newest rows have no balance, although their writing has stopped."""
    balance = sums.balance
    versions = {
        "ledger_entries": sums.ledger.version,
        "conversation_facts": sums.units.version,
        "usage_daily_facts": sums.rollup.version,
    }
    table = next(name for name, version in versions.items() if version == sums.newest)
    scope, row = balance.workspace_id, "balance" if balance.version >= 0 else "balance, which is missing"
    return Difference(LEDGER_BALANCES, scope, row, "version", table, sums.newest, "balance_facts", balance.version)


def unnamed(pair: str, workspace_id: str) -> Difference:
    """A pair that differs, without its rows. For a pair over the limit, or whose rows had changed when asked for."""
    one_table, _, other_table = pair.partition("_")
    return Difference(pair, workspace_id, "not looked for", "checksum", one_table, 0, other_table, 1)
