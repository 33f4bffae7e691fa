"""The sums of a workspace: the SQL that reads them from each table, and which of them have to be equal.

Four tables state the same money and the same conversations in different ways. Each query reduces its table to a few
sums, one row a workspace. Some of the sums are checksums: sum(hash(key) * (amount * hash(name) + ...)), modulo 2^64.
A checksum is linear: the entries of a conversation add up to the same number as the conversation's own row. So a wrong
row is noticed without a join (docs/adr/0009).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

EVENTS: Final = "events"
UNITS_LEDGER: Final = "units_ledger"
UNITS_ROLLUPS: Final = "units_rollups"
LEDGER_ROLLUPS: Final = "ledger_rollups"
LEDGER_BALANCES: Final = "ledger_balances"
PAIRS: Final = (EVENTS, UNITS_LEDGER, UNITS_ROLLUPS, LEDGER_ROLLUPS, LEDGER_BALANCES)
"""The pairs that are compared. A name with `_` says which two: units are conversations, rollups are days of bots."""

Row = tuple[Any, ...]
"""One row of an answer: its cells, in the order of the SELECT."""


class Balance(NamedTuple):
    """The row of `balance_facts`. It is the last row of an update, so it counts all rows up to its version."""

    workspace_id: str
    version: int = -1
    free_micros: int = 0
    paid_micros: int = 0
    lapsed_micros: int = 0
    entries: int = 0
    conversations: int = 0
    messages: int = 0
    """Messages of closed conversations."""
    occurrences: int = 0


class Ledger(NamedTuple):
    """Sums over the rows of `ledger_entries`. `by_conversation` and `by_bot` are checksums of the charges."""

    workspace_id: str
    version: int = -1
    entries: int = 0
    last_seq: int = 0
    seqs: int = 0
    """The sum of all `seq`: with `last_seq` and `entries` it shows whether the numbers have no gap."""
    free_micros: int = 0
    paid_micros: int = 0
    lapsed_micros: int = 0
    by_conversation: int = 0
    by_bot: int = 0


class Units(NamedTuple):
    """Sums over the rows of `conversation_facts`. `by_conversation` and `by_day` are checksums."""

    workspace_id: str
    version: int = -1
    conversations: int = 0
    messages: int = 0
    """Messages of closed conversations."""
    by_conversation: int = 0
    by_day: int = 0


class Rollup(NamedTuple):
    """Sums over the rows of `usage_daily_facts`. `by_day` and `by_bot` are checksums."""

    workspace_id: str
    version: int = -1
    occurrences: int = 0
    by_day: int = 0
    by_bot: int = 0


class Sums(NamedTuple):
    """The sums of one workspace. A table without a row of it has version -1 and zeros."""

    balance: Balance
    ledger: Ledger
    units: Units
    rollup: Rollup

    @property
    def newest(self) -> int:
        """The highest version in the three tables that are written before the balance."""
        return max(self.ledger.version, self.units.version, self.rollup.version)

    @property
    def is_complete(self) -> bool:
        """Whether no row is newer than the balance. If one is, the balance of its update is still to come."""
        return self.newest <= self.balance.version


def unequal_pairs(sums: Sums) -> list[str]:
    """The pairs that differ. Must be called with complete sums only: others differ because rows are still to come."""
    balance, ledger, units, rollup = sums
    count = balance.entries
    is_equal = {
        EVENTS: (units.messages, rollup.occurrences) == (balance.messages, balance.occurrences),
        UNITS_LEDGER: (units.conversations, units.by_conversation) == (balance.conversations, ledger.by_conversation),
        UNITS_ROLLUPS: units.by_day == rollup.by_day,
        LEDGER_ROLLUPS: ledger.by_bot == rollup.by_bot,
        LEDGER_BALANCES: (ledger.free_micros, ledger.paid_micros, ledger.lapsed_micros)
        == (balance.free_micros, balance.paid_micros, balance.lapsed_micros)
        and (ledger.entries, ledger.last_seq, ledger.seqs) == (count, count, count * (count + 1) // 2),
    }
    return [pair for pair in PAIRS if not is_equal[pair]]


def by_workspace(
    balances: Iterable[Row], ledgers: Iterable[Row], units: Iterable[Row], rollups: Iterable[Row]
) -> dict[str, Sums]:
    """Put the four answers together: every workspace that has a row in any of them, in the order of their names."""
    tables: list[tuple[type, dict[str, Any]]] = [
        (kind, {row[0]: kind(*row) for row in rows})
        for kind, rows in ((Balance, balances), (Ledger, ledgers), (Units, units), (Rollup, rollups))
    ]
    names = sorted({name for _, found in tables for name in found})
    return {name: Sums(*(found.get(name, kind(name)) for kind, found in tables)) for name in names}


# SQL. `where` says which workspaces: `between` or `among`.


def text(value: str) -> str:
    """A string literal in SQL. Written in hexadecimal, so that no character of `value` can end it."""
    return f"unhex('{value.encode().hex()}')"


def between(after: str, last: str | None) -> str:
    """The condition for the workspaces after `after`, up to and including `last`; without an end if it is None."""
    return f"workspace_id > {text(after)}" + ("" if last is None else f" AND workspace_id <= {text(last)}")


def among(names: Iterable[str]) -> str:
    """The condition for the workspaces of these names. At least one name is needed."""
    return f"workspace_id IN ({', '.join(map(text, names))})"


def balances_sql(where: str, limit: int) -> str:
    """Selects the first `limit` rows of `Balance`.

    Must be asked before the other three: a row inserted between the questions then has a version above the balance's,
    and `Sums.is_complete` shows it.
    """
    columns = ", ".join(Balance._fields)
    return f"SELECT {columns} FROM balance_facts FINAL WHERE {where} ORDER BY workspace_id LIMIT {limit}"


def ledgers_sql(where: str) -> str:
    """Selects a row of `Ledger` for each workspace."""
    return f"""SELECT workspace_id, max(version), count(), max(seq), sum(seq),
        sumIf(amount_micros, lot_kind = 'free'), sumIf(amount_micros, lot_kind != 'free'),
        -sumIf(amount_micros, kind IN ('lapse', 'lapse_reversal')),
        {_checksum("cityHash64(conversation_id)", CHARGES, side=0)},
        {_checksum("cityHash64(bot_id)", CHARGES, side=0)}
        FROM ledger_entries FINAL WHERE {where} GROUP BY workspace_id"""


def units_sql(where: str) -> str:
    """Selects a row of `Units` for each workspace."""
    return f"""SELECT workspace_id, max(version), count(), sumIf(messages, state = 'closed'),
        {_checksum("cityHash64(conversation_id)", CHARGES, side=1)},
        {_checksum("cityHash64(bot_id, toDate(first_at, 'UTC'))", DAY, side=0)}
        FROM conversation_facts FINAL WHERE {where} GROUP BY workspace_id"""


def rollups_sql(where: str) -> str:
    """Selects a row of `Rollup` for each workspace."""
    return f"""SELECT workspace_id, max(version), sum({_OCCURRENCES}),
        {_checksum("cityHash64(bot_id, day)", DAY, side=1)},
        {_checksum("cityHash64(bot_id)", CHARGES, side=1)}
        FROM usage_daily_facts FINAL WHERE {where} GROUP BY workspace_id"""


Figures = Mapping[str, tuple[str, str]]
"""Figures that two tables state, by name: in SQL, what a row of the one table adds and what a row of the other adds."""

_OCCURRENCES: Final = "proactive_notifications + alert_notifications + agent_messages + developer_messages"

CHARGES: Final[Figures] = {
    "charged_free_micros": (
        "if(kind IN ('charge', 'reversal') AND lot_kind = 'free', -amount_micros, 0)",
        "charged_free_micros",
    ),
    "charged_paid_micros": (
        "if(kind IN ('charge', 'reversal') AND lot_kind != 'free', -amount_micros, 0)",
        "charged_paid_micros",
    ),
}
"""What was charged: by an entry, and by a row of a conversation or of a day."""

DAY: Final[Figures] = {
    "conversations": ("toInt64(billable)", "conversations"),
    "sessions": ("toUInt8(billable) * sessions", "sessions"),
    "requests": ("toUInt8(billable) * requests", "requests"),
    "total_units": (
        "toUInt8(billable) * (requests + if(plan = 'enterprise', sessions, 1))",
        "total_units - proactive_notifications - alert_notifications",
    ),
    "charged_free_micros": ("charged_free_micros", "charged_free_micros"),
    "charged_paid_micros": ("charged_paid_micros", "charged_paid_micros"),
}
"""The figures of a bot's day: what a conversation adds, and what the day's row states of conversations."""


def _checksum(key: str, figures: Figures, side: int) -> str:
    # The hash of a figure's name keeps an amount that moved from one figure to another from cancelling out.
    terms = (f"reinterpretAsUInt64(toInt64({both[side]})) * cityHash64('{name}')" for name, both in figures.items())
    return f"sum({key} * ({' + '.join(terms)}))"
