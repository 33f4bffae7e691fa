"""Is what a life leaves behind, in ClickHouse and in the state topics, what a single pass over its input gives?

Shares nothing with the product but the names of tables and columns; the rules are the oracle's.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import ConsumerRecord

from meter.checkpoints import Restored
from meter.core.policy import Policy
from meter.fold import Fold
from schemas.instants import DAY_MS, from_ms
from schemas.topics import CHAT_EVENTS
from tests.integration import differences
from tests.integration.views import Outcome
from tests.oracle.oracle import Result
from tests.simulation.clickhouse import Row, Store

_LETTERS = "dead_letter_facts"
_NOT_ADDED = ("workspace_id", "bot_id", "day", "version")


def audit(store: Store, expected: Result, lines: list[bytes]) -> None:
    """Raises AssertionError with all that differs."""
    outcome = outcome_of(store)
    found = [
        *differences.metered(outcome, expected),
        *differences.refused(outcome, expected, lines),
        *differences.units(outcome, expected),
        *differences.charged(outcome, expected, by_lot=False),
        *differences.money_conserved(outcome),
        *differences.ledger_sound(outcome),
        *_uncounted(store),
    ]
    assert not found, "\n".join(found)


def _uncounted(store: Store) -> list[str]:
    """Every record of a partition of events is accounted for, as of each offset that all wallets have told of."""
    points: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for tally in store.rows("tally_facts"):
        points[tally["origin_partition"], tally["origin_offset"]].append(tally)
    letters = [(row["source_topic"], row["source_partition"], row["source_offset"]) for row in store.rows(_LETTERS)]
    found: list[str] = []
    for (partition, offset), told in points.items():
        if len(told) < told[0]["wallet_partitions"]:
            continue
        refused = sum(at[:2] == (CHAT_EVENTS.name, partition) and at[2] <= offset for at in letters)
        taken = sum(tally["taken_messages"] for tally in told)
        occurrences = sum(tally["taken_occurrences"] for tally in told)
        for counts in told:
            still_open = counts["messages"] - counts["closed_messages"]
            accounted = taken + still_open + occurrences + counts["duplicates"] + counts["ticks"] + refused
            if counts["events"] != accounted or counts["events"] != offset + 1:
                found.append(f"events up to {partition}/{offset}: {counts}, accounted for: {accounted}")
    return found


def assert_truthful(
    make_fold: Callable[[Policy, int, Restored], Fold],
    policy: Policy,
    partition: int,
    log: Sequence[ConsumerRecord],
    restored: Restored,
) -> None:
    """Raises AssertionError unless a restored checkpoint is what one pass over the log comes to at its offset."""
    fold = make_fold(policy, partition, Restored(-1, None, {}))
    passed = log[: restored.offset + 1]
    if passed:
        for _ in fold.take(list(passed)):
            pass
    expected = {key: value for key, value in fold.changes() if value is not None}
    # What a superseded worker said of a key that had ended: whoever restores it ends it again.
    ghosts = {key for key, value in make_fold(policy, partition, restored).changes() if value is None}
    assert {key: value for key, value in restored.records.items() if key not in ghosts} == expected


def outcome_of(store: Store) -> Outcome:
    """The fixed views, over the simulated tables."""
    daily = [_with_day(row) for row in store.rows("usage_daily_facts") if _is_shown(row)]
    return Outcome(
        conversations=[_with_times(row) for row in store.rows("conversation_facts") if _is_billed(row)],
        ledger=sorted(store.rows("ledger_entries"), key=lambda entry: (entry["workspace_id"], entry["seq"])),
        daily=daily,
        monthly=_by_month(daily),
        balances=store.rows("balance_facts"),
        dead_letters=store.rows("dead_letter_facts"),
    )


def _is_billed(row: Row) -> bool:
    return bool(row["billable"]) and row["state"] != "absorbed" and row["absorbed_into"] == ""


def _is_shown(row: Row) -> bool:
    return any(row[column] for column in ("total_units", "charged_free_micros", "charged_paid_micros"))


def _with_times(row: Row) -> Row:
    return row | {"first_ms": row["first_at"], "last_ms": row["last_at"]}


def _with_day(row: Row) -> Row:
    return row | {"day": from_ms(row["day"] * DAY_MS).date().isoformat()}


def _by_month(daily: list[Row]) -> list[Row]:
    months: dict[tuple[str, str, str], dict[str, Any]] = defaultdict(lambda: defaultdict(int))
    for row in daily:
        month = row["day"][:8] + "01"
        total = months[row["workspace_id"], row["bot_id"], month]
        for column, value in row.items():
            if column not in _NOT_ADDED:
                total[column] += value
    return [
        {"workspace_id": workspace_id, "bot_id": bot_id, "month": month} | total
        for (workspace_id, bot_id, month), total in months.items()
    ]
