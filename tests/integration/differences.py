"""How an outcome differs from the oracle's, and from the laws of money: a sentence a row, none where all is well."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from tests.integration.views import Outcome, Row
from tests.oracle.oracle import Result, Usage

K = TypeVar("K", bound=Hashable)

_START = ("workspace_id", "bot_id", "channel", "channel_user_id", "first_ms")
CONVERSATION = (*_START, "last_ms", "messages", "requests", "sessions")
_UNDOES = {"reversal": "charge", "lapse_reversal": "lapse", "grant_reversal": "grant"}
USAGE = {
    "conversations": "conversations",
    "sessions": "sessions",
    "requests": "requests",
    "proactive": "proactive_notifications",
    "alert": "alert_notifications",
    "agent": "agent_messages",
    "developer": "developer_messages",
    "total_units": "total_units",
}


def unequal(what: str, found: Iterable[object], expected: Iterable[object]) -> list[str]:
    """A sentence for every row that is missing and for every one too many, as often as it is. Order is nothing."""
    have, want = Counter(iter(found)), Counter(iter(expected))
    if have == want:
        return []
    missing = [f"{what}: missing {row!r}" for row in (want - have).elements()]
    return missing + [f"{what}: unexpected {row!r}" for row in (have - want).elements()]


def metered(outcome: Outcome, expected: Result) -> list[str]:
    """Conversations and usage are the oracle's, each row of them and the charge on it.

    A day without a unit, on which at most agents or developers wrote, is not shown.
    """
    shown = replace(expected, daily={key: row for key, row in expected.daily.items() if row.total_units})
    return [
        # Without its id, which the oracle does not have.
        *unequal(
            "conversation",
            (tuple(row[column] for column in CONVERSATION) for row in outcome.conversations),
            ((*c.key, c.first, c.last, c.messages, c.requests, c.sessions) for c in expected.conversations),
        ),
        *unequal("day", _usage(outcome.daily, "day"), _expected_usage(shown.daily)),
        *unequal("month", _usage(outcome.monthly, "month"), _expected_usage(shown.monthly())),
    ]


def _usage(rows: Iterable[Row], period: str) -> Iterator[tuple[object, ...]]:
    """What was used and what it cost, by (workspace, bot, day or month)."""
    for row in rows:
        charged = row["charged_free_micros"] + row["charged_paid_micros"]
        yield (row["workspace_id"], row["bot_id"], row[period], *(row[column] for column in USAGE.values()), charged)


def _expected_usage(rows: Mapping[tuple[str, str, str], Usage]) -> Iterator[tuple[object, ...]]:
    for key, row in rows.items():
        yield (*key, *(getattr(row, column) for column in USAGE), row.charged_free + row.charged_paid)


def charged(outcome: Outcome, expected: Result, *, by_lot: bool) -> list[str]:
    """Balances are the oracle's. Of a feed out of order only their sum: which lot paid follows the order of arrival."""
    free, paid = (sums(outcome.daily, column) for column in ("charged_free_micros", "charged_paid_micros"))
    found = [
        (workspace, row["lapsed_micros"], row["free_micros"], row["paid_micros"], free[workspace], paid[workspace])
        for workspace, row in ((row["workspace_id"], row) for row in outcome.balances)
    ]
    wanted = [
        (workspace, each.lapsed, each.free, each.paid, each.charged_free, each.charged_paid)
        for workspace, each in expected.balances.items()
    ]
    if by_lot:
        return unequal("balance (lapsed, free, paid, charged free, charged paid)", found, wanted)
    return unequal("balance (lapsed, left, charged)", map(_together, found), map(_together, wanted))


def _together(row: tuple[str, int, int, int, int, int]) -> tuple[str, int, int, int]:
    workspace, lapsed, free, paid, charged_free, charged_paid = row
    return workspace, lapsed, free + paid, charged_free + charged_paid


def units(outcome: Outcome, expected: Result) -> list[str]:
    """Each conversation's charged units, less what was reversed, cost what the oracle's do; what was absorbed, nothing.

    When a unit was charged is not compared: a late message may have moved the conversation's start since.
    """
    keys = {row["conversation_id"]: tuple(row[column] for column in _START) for row in outcome.conversations}
    paid: Counter[tuple[object, ...]] = Counter()
    for entry in outcome.ledger:
        if entry["kind"] in ("charge", "reversal"):
            of = keys.get(entry["conversation_id"], (entry["conversation_id"], "is not shown"))
            paid[of, entry["unit_id"]] -= entry["amount_micros"]
    due: Counter[tuple[object, ...]] = Counter()
    for charge in expected.charges:
        due[charge.conversation, charge.at] += charge.amount
    return unequal("unit", _costs(paid), _costs(due))


def _costs(by_unit: Counter[tuple[object, ...]]) -> Iterator[tuple[object, int]]:
    for (conversation, _), amount in nonzero(by_unit).items():
        yield conversation, amount


def money_conserved(outcome: Outcome) -> list[str]:
    """Ledger, balances, usage and conversations tell of the same micro-dollars, workspace by workspace."""
    spent = [entry for entry in outcome.ledger if entry["kind"] in ("charge", "reversal")]
    charges = {workspace: -amount for workspace, amount in sums(spent, "amount_micros").items()}
    left = sums(outcome.balances, "free_micros", "paid_micros")
    differences = unequal("sum of the ledger", sums(outcome.ledger, "amount_micros").items(), left.items())
    for what, rows in (("days", outcome.daily), ("months", outcome.monthly), ("conversations", outcome.conversations)):
        told = sums(rows, "charged_free_micros", "charged_paid_micros")
        differences += unequal(f"charges told by {what}", told.items(), charges.items())
    return differences


def ledger_sound(outcome: Outcome) -> list[str]:
    """Entries are numbered 1..n in each workspace, and what is undone was done before, on the same lot.

    A reversal undoes one charge, whole and once. A lapse may be undone in parts, by late units, but by no more than it
    took.
    """
    differences: list[str] = []
    numbers: dict[str, list[int]] = defaultdict(list)
    for entry in outcome.ledger:
        numbers[entry["workspace_id"]].append(entry["seq"])
    for workspace, found in numbers.items():
        differences += unequal(f"number of an entry of {workspace}", found, range(1, len(found) + 1))
    by_id = {entry["entry_id"]: entry for entry in outcome.ledger}
    differences += unequal("id of an entry", (entry["entry_id"] for entry in outcome.ledger), by_id)
    undone: dict[str, list[int]] = defaultdict(list)
    for entry in outcome.ledger:
        if entry["kind"] in _UNDOES or entry["reverses"]:
            before = by_id.get(entry["reverses"])
            if before is None or not _can_undo(entry, before):
                differences.append(f"entry that undoes what it cannot: {entry} of {before}")
            else:
                undone[entry["reverses"]].append(entry["amount_micros"])
    differences += [
        f"entry undone wrongly: {by_id[entry_id]} by {amounts}"
        for entry_id, amounts in undone.items()
        if not _rightly_undone(by_id[entry_id], amounts)
    ]
    return differences


def _can_undo(entry: Row, before: Row) -> bool:
    same = all(before[column] == entry[column] for column in ("workspace_id", "lot_id", "lot_kind"))
    return same and before["kind"] == _UNDOES.get(entry["kind"]) and before["seq"] < entry["seq"]


def _rightly_undone(done: Row, amounts: list[int]) -> bool:
    taken = -int(done["amount_micros"])
    if done["kind"] == "charge":
        return amounts == [taken]
    if done["kind"] == "grant":
        return max(amounts) < 0 and sum(amounts) >= taken
    return min(amounts) > 0 and sum(amounts) <= taken


def refused(outcome: Outcome, expected: Result, lines: list[bytes]) -> list[str]:
    """Exactly the lines that the oracle refuses are dead letters, whole; each reason names the field."""
    return unequal(
        "dead letter",
        ((row["payload"], named_field(row["reason"])) for row in outcome.dead_letters),
        ((lines[letter.line], letter.field or "value") for letter in expected.dead_letters),
    )


def named_field(reason: str) -> str:
    """The bare name of the field that a reason begins with; `value` where the record has no fields to name."""
    return reason.partition(":")[0].rpartition(".")[2]


def sums(rows: Iterable[Row], *columns: str) -> Counter[str]:
    """The columns added up by workspace, without those workspaces where they come to nothing."""
    total: Counter[str] = Counter()
    for row in rows:
        total[row["workspace_id"]] += sum(row[column] for column in columns)
    return nonzero(total)


def nonzero(counts: Counter[K]) -> Counter[K]:
    """Without what comes to nothing; a missing one reads as 0 all the same."""
    return Counter({key: amount for key, amount in counts.items() if amount})
