"""Whether the rows of a workspace add up: what the tables are asked, and which of the answers have to be equal.

The tables tell of the same money and the same conversations, each in its own words. Here each is reduced to a few sums
a workspace. Sums over conversations, or over a bot's days, are checksums: every amount times a hash of what it is for,
modulo 2^64. They are linear, so the entries of a conversation come to the same as its row, and no row has to be joined
with another to find that one is wrong (docs/adr/0009).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

EVENTS: Final = "events"
UNITS_LEDGER: Final = "units_ledger"
UNITS_ROLLUPS: Final = "units_rollups"
LEDGER_ROLLUPS: Final = "ledger_rollups"
LEDGER_BALANCES: Final = "ledger_balances"
PAIRS: Final = (EVENTS, UNITS_LEDGER, UNITS_ROLLUPS, LEDGER_ROLLUPS, LEDGER_BALANCES)

Row = tuple[Any, ...]


class Balance(NamedTuple):
    """The row that is written last of an update: what it says holds of all rows up to its version."""

    workspace_id: str
    version: int = -1
    free_micros: int = 0
    paid_micros: int = 0
    lapsed_micros: int = 0
    entries: int = 0
    conversations: int = 0
    messages: int = 0
    occurrences: int = 0


class Ledger(NamedTuple):
    """The entries of a workspace."""

    workspace_id: str
    version: int = -1
    entries: int = 0
    last_seq: int = 0
    seqs: int = 0
    free_micros: int = 0
    paid_micros: int = 0
    lapsed_micros: int = 0
    by_conversation: int = 0
    by_bot: int = 0


class Units(NamedTuple):
    """The conversations of a workspace."""

    workspace_id: str
    version: int = -1
    conversations: int = 0
    messages: int = 0
    by_conversation: int = 0
    by_day: int = 0


class Rollup(NamedTuple):
    """The days of a workspace's bots."""

    workspace_id: str
    version: int = -1
    occurrences: int = 0
    by_day: int = 0
    by_bot: int = 0


class Sums(NamedTuple):
    """All that is asked of one workspace; where a table has no row of it, zeros of version -1."""

    balance: Balance
    ledger: Ledger
    units: Units
    rollup: Rollup

    @property
    def newest(self) -> int:
        """The highest version among the rows that a balance explains."""
        return max(self.ledger.version, self.units.version, self.rollup.version)

    @property
    def is_complete(self) -> bool:
        """Whether all of the newest update is there. Its balance comes last; until then its rows are on their way."""
        return self.newest <= self.balance.version


def differing(sums: Sums) -> list[str]:
    """The pairs that do not agree. What is asked of must be judged_in_time."""
    balance, ledger, units, rollup = sums
    count = balance.entries
    agree = {
        EVENTS: (units.messages, rollup.occurrences) == (balance.messages, balance.occurrences),
        UNITS_LEDGER: (units.conversations, units.by_conversation) == (balance.conversations, ledger.by_conversation),
        UNITS_ROLLUPS: units.by_day == rollup.by_day,
        LEDGER_ROLLUPS: ledger.by_bot == rollup.by_bot,
        LEDGER_BALANCES: (ledger.free_micros, ledger.paid_micros, ledger.lapsed_micros)
        == (balance.free_micros, balance.paid_micros, balance.lapsed_micros)
        and (ledger.entries, ledger.last_seq, ledger.seqs) == (count, count, count * (count + 1) // 2),
    }
    return [pair for pair in PAIRS if not agree[pair]]


def folded(
    balances: Iterable[Row], ledgers: Iterable[Row], units: Iterable[Row], rollups: Iterable[Row]
) -> dict[str, Sums]:
    """The answers by workspace, each workspace that any of them names."""
    found: tuple[Mapping[str, Any], ...] = (
        {row[0]: Balance(*row) for row in balances},
        {row[0]: Ledger(*row) for row in ledgers},
        {row[0]: Units(*row) for row in units},
        {row[0]: Rollup(*row) for row in rollups},
    )
    names = sorted({name for each in found for name in each})
    kinds = (Balance, Ledger, Units, Rollup)
    return {
        name: Sums(*(each.get(name, kind(name)) for each, kind in zip(found, kinds, strict=True))) for name in names
    }


# What is asked. `where` says which workspaces.


def text(value: str) -> str:
    """A string in SQL, whatever is in it."""
    return f"unhex('{value.encode().hex()}')"


def between(after: str, last: str | None) -> str:
    """The workspaces after one, up to and with another."""
    return f"workspace_id > {text(after)}" + ("" if last is None else f" AND workspace_id <= {text(last)}")


def among(names: Iterable[str]) -> str:
    """The workspaces of these names."""
    return f"workspace_id IN ({', '.join(map(text, names))})"


def balances(where: str, limit: int) -> str:
    """The first balances. Asked before all else: rows that come later belong to a higher version and show it."""
    columns = ", ".join(Balance._fields)
    return f"SELECT {columns} FROM balance_facts FINAL WHERE {where} ORDER BY workspace_id LIMIT {limit}"


def ledgers(where: str) -> str:
    """`Ledger` of each workspace."""
    free, paid = _charged("lot_kind = 'free'"), _charged("lot_kind != 'free'")
    return f"""SELECT workspace_id, max(version), count(), max(seq), sum(seq),
        sumIf(amount_micros, lot_kind = 'free'), sumIf(amount_micros, lot_kind != 'free'),
        -sumIf(amount_micros, kind IN ('lapse', 'lapse_reversal')),
        {_checksum("cityHash64(conversation_id)", free=free, paid=paid)},
        {_checksum("cityHash64(bot_id)", free=free, paid=paid)}
        FROM ledger_entries FINAL WHERE {where} GROUP BY workspace_id"""


def units(where: str) -> str:
    """`Units` of each workspace."""
    free, paid = "charged_free_micros", "charged_paid_micros"
    return f"""SELECT workspace_id, max(version), count(), sumIf(messages, state = 'closed'),
        {_checksum("cityHash64(conversation_id)", free=free, paid=paid)},
        {_checksum("cityHash64(bot_id, toDate(first_at, 'UTC'))", **{name: each[0] for name, each in DAY.items()})}
        FROM conversation_facts FINAL WHERE {where} GROUP BY workspace_id"""


def rollups(where: str) -> str:
    """`Rollup` of each workspace."""
    return f"""SELECT workspace_id, max(version), sum({OCCURRENCES}),
        {_checksum("cityHash64(bot_id, day)", **{name: each[1] for name, each in DAY.items()})},
        {_checksum("cityHash64(bot_id)", free="charged_free_micros", paid="charged_paid_micros")}
        FROM usage_daily_facts FINAL WHERE {where} GROUP BY workspace_id"""


OCCURRENCES: Final = "proactive_notifications + alert_notifications + agent_messages + developer_messages"

DAY: Final = {
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
"""What a bot's day is the sum of: of each figure what a conversation adds to it, and what the day's row says of it."""


def _charged(lots: str) -> str:
    """What an entry adds to what its conversation was charged."""
    return f"if(kind IN ('charge', 'reversal') AND {lots}, -amount_micros, 0)"


def _checksum(key: str, **figures: str) -> str:
    terms = (f"reinterpretAsUInt64(toInt64({figure})) * cityHash64('{name}')" for name, figure in figures.items())
    return f"sum({key} * ({' + '.join(terms)}))"
