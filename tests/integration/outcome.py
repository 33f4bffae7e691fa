"""What a deployment came to, as analysts see it, held against the oracle and against the laws of money."""

import base64
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.integration.processes import answer
from tests.oracle.oracle import Result, Usage, meter

Row = dict[str, Any]

_VIEWS = {
    "conversations": "*, toUnixTimestamp64Milli(first_at) AS first_ms, toUnixTimestamp64Milli(last_at) AS last_ms",
    "ledger": "*",
    "usage_daily": "*",
    "usage_monthly": "*",
    "balances": "*",
    "dead_letters": "* EXCEPT payload, base64Encode(payload) AS payload_base64",
}
_CONVERSATION = (
    *("workspace_id", "bot_id", "channel", "channel_user_id", "first_ms", "last_ms"),
    *("messages", "requests", "sessions"),
)
_UNDOES = {"reversal": "charge", "lapse_reversal": "lapse"}
_USAGE = {
    "conversations": "conversations",
    "sessions": "sessions",
    "requests": "requests",
    "proactive": "proactive_notifications",
    "alert": "alert_notifications",
    "agent": "agent_messages",
    "developer": "developer_messages",
    "total_units": "total_units",
}


@dataclass
class Outcome:
    """The fixed views, each as its rows."""

    conversations: list[Row]
    ledger: list[Row]
    daily: list[Row]
    monthly: list[Row]
    balances: list[Row]
    dead_letters: list[Row]


def outcome_of(data: Path) -> Outcome:
    """Ask for everything, at once."""
    query = " UNION ALL ".join(
        f"SELECT '{view}' AS view, formatRow('JSONEachRow', {columns}) AS row FROM {view}"
        for view, columns in _VIEWS.items()
    )
    rows: dict[str, list[Row]] = {view: [] for view in _VIEWS}
    for told in answer(data, query):
        rows[told["view"]].append(json.loads(told["row"]))
    return Outcome(
        conversations=rows["conversations"],
        ledger=sorted(rows["ledger"], key=lambda entry: (entry["workspace_id"], entry["seq"])),
        daily=rows["usage_daily"],
        monthly=rows["usage_monthly"],
        balances=rows["balances"],
        dead_letters=[_with_payload(row) for row in rows["dead_letters"]],
    )


def _with_payload(row: Row) -> Row:
    """JSON cannot hold bytes that are no text."""
    encoded = row.pop("payload_base64")
    return row | {"payload": None if encoded is None else base64.b64decode(encoded)}


def oracle(lines: list[bytes]) -> Result:
    """What a feed must come to, now."""
    return meter(lines, int(time.time() * 1000))


def assert_exact(data: Path, lines: list[bytes], *, in_order: bool) -> Outcome:
    """Everything that analysts can see is what the oracle says, and the money adds up."""
    outcome, expected = outcome_of(data), oracle(lines)
    assert_metered(outcome, expected)
    assert_refused(outcome, expected, lines)
    assert_charged(outcome, expected, by_lot=in_order)
    assert_money_conserved(outcome)
    assert_ledger_sound(outcome)
    return outcome


def assert_metered(outcome: Outcome, expected: Result) -> None:
    """Conversations and usage are the oracle's, each row of them and the charge on it.

    A day without a unit, on which at most agents or developers wrote, is not shown.
    """
    assert conversations(outcome) == Counter(
        (*each.key, each.first, each.last, each.messages, each.requests, each.sessions)
        for each in expected.conversations
    )
    shown = replace(expected, daily={key: row for key, row in expected.daily.items() if row.total_units})
    assert usage(outcome.daily, "day") == _expected_usage(shown.daily)
    assert usage(outcome.monthly, "month") == _expected_usage(shown.monthly())


def conversations(outcome: Outcome) -> Counter[tuple[object, ...]]:
    """Each conversation without its id, which the oracle does not have."""
    return Counter(tuple(row[column] for column in _CONVERSATION) for row in outcome.conversations)


def usage(rows: Iterable[Row], period: str) -> dict[tuple[str, ...], tuple[int, ...]]:
    """What was used and what it cost, by (workspace, bot, day or month)."""
    return {
        (row["workspace_id"], row["bot_id"], row[period]): (
            *(row[column] for column in _USAGE.values()),
            row["charged_free_micros"] + row["charged_paid_micros"],
        )
        for row in rows
    }


def _expected_usage(rows: Mapping[tuple[str, str, str], Usage]) -> dict[tuple[str, ...], tuple[int, ...]]:
    return {
        key: (*(getattr(row, column) for column in _USAGE), row.charged_free + row.charged_paid)
        for key, row in rows.items()
    }


def assert_charged(outcome: Outcome, expected: Result, *, by_lot: bool) -> None:
    """Balances are the oracle's. Of a feed out of order only their sum: which lot paid follows the order of arrival."""
    found = {row["workspace_id"]: row for row in outcome.balances}
    charged = _sums(outcome.daily, "charged_free_micros"), _sums(outcome.daily, "charged_paid_micros")
    assert found.keys() == expected.balances.keys()
    for workspace, wanted in expected.balances.items():
        row, free, paid = found[workspace], charged[0][workspace], charged[1][workspace]
        assert row["lapsed_micros"] == wanted.lapsed, workspace
        assert row["free_micros"] + row["paid_micros"] == wanted.free + wanted.paid, workspace
        assert free + paid == wanted.charged_free + wanted.charged_paid, workspace
        if by_lot:
            assert (row["free_micros"], row["paid_micros"]) == (wanted.free, wanted.paid), workspace
            assert (free, paid) == (wanted.charged_free, wanted.charged_paid), workspace


def assert_money_conserved(outcome: Outcome) -> None:
    """Ledger, balances, usage and conversations tell of the same micro-dollars, workspace by workspace."""
    spent = [entry for entry in outcome.ledger if entry["kind"] in ("charge", "reversal")]
    charges = {workspace: -amount for workspace, amount in _sums(spent, "amount_micros").items()}
    assert _sums(outcome.ledger, "amount_micros") == _nonzero(
        {row["workspace_id"]: row["free_micros"] + row["paid_micros"] for row in outcome.balances}
    )
    for rows in (outcome.daily, outcome.monthly, outcome.conversations):
        assert _sums(rows, "charged_free_micros", "charged_paid_micros") == charges


def assert_ledger_sound(outcome: Outcome) -> None:
    """Entries are numbered 1..n in each workspace, and what is undone was done before, on the same lot.

    A reversal undoes one charge, whole and once. A lapse may be undone in parts, by late units, but by no more than it
    took.
    """
    by_workspace: dict[str, list[Row]] = defaultdict(list)
    for entry in outcome.ledger:
        by_workspace[entry["workspace_id"]].append(entry)
    for entries in by_workspace.values():
        assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    by_id = {entry["entry_id"]: entry for entry in outcome.ledger}
    assert len(by_id) == len(outcome.ledger)
    undone: dict[str, list[int]] = defaultdict(list)
    for entry in outcome.ledger:
        if entry["kind"] in _UNDOES or entry["reverses"]:
            before = by_id[entry["reverses"]]
            assert before["kind"] == _UNDOES[entry["kind"]]
            assert before["seq"] < entry["seq"]
            assert all(before[column] == entry[column] for column in ("workspace_id", "lot_id", "lot_kind"))
            undone[before["entry_id"]].append(entry["amount_micros"])
    for entry_id, amounts in undone.items():
        done = by_id[entry_id]
        if done["kind"] == "charge":
            assert amounts == [-done["amount_micros"]]
        else:
            assert min(amounts) > 0
            assert sum(amounts) <= -done["amount_micros"]


def assert_refused(outcome: Outcome, expected: Result, lines: list[bytes]) -> None:
    """Exactly the lines that the oracle refuses are dead letters, whole; each reason names the field."""
    found = sorted((row["payload"], named_field(row["reason"])) for row in outcome.dead_letters)
    assert found == sorted((lines[letter.line], letter.field or "value") for letter in expected.dead_letters)


def named_field(reason: str) -> str:
    """The bare name of the field that a reason begins with; `value` where the record has no fields to name."""
    return reason.partition(":")[0].rpartition(".")[2]


def _sums(rows: Iterable[Row], *columns: str) -> dict[str, int]:
    """The columns added up by workspace, without those workspaces where they come to nothing."""
    total: dict[str, int] = defaultdict(int)
    for row in rows:
        total[row["workspace_id"]] += sum(row[column] for column in columns)
    return _nonzero(total)


def _nonzero(sums: dict[str, int]) -> dict[str, int]:
    return defaultdict(int, {workspace: amount for workspace, amount in sums.items() if amount})
