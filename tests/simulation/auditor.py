"""Is what a life leaves behind, in ClickHouse and in the state topics, what a single pass over its input gives?

Shares nothing with the product but the names of tables and columns; the rules are the oracle's.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiokafka import ConsumerRecord

from meter.stage.blocks import unpack
from meter.stage.fold import Fold, Output, State
from schemas.instants import DAY_MS, from_ms
from schemas.outcomes import decode_outcome
from schemas.topics import CHAT_EVENTS, ENTITLEMENTS, OUTCOMES
from tests.integration import differences
from tests.integration.entitled import entitled
from tests.integration.views import Outcome
from tests.oracle.oracle import Result
from tests.oracle.reading import policy_of
from tests.simulation.broker import Broker
from tests.simulation.clickhouse import Row, Store

_LETTERS = "dead_letter_facts"
_LOCATION = ("source_topic", "source_partition", "source_offset")
_NOT_ADDED = ("workspace_id", "bot_id", "day", "version")


def audit(
    store: Store,
    broker: Broker,
    expected: Result,
    lines: list[bytes],
    copies: Collection[tuple[str, int, int]],
) -> None:
    """Raises AssertionError with all that differs.

    `copies` is where records lie that were moved more than once: what is refused has a letter for each copy, and only
    the first one counts.
    """
    outcome = outcome_of(store)
    letters = [row for row in outcome.dead_letters if tuple(row[name] for name in _LOCATION) not in copies]
    outcome = replace(outcome, dead_letters=letters)
    found = [
        *differences.metered(outcome, expected),
        *differences.refused(outcome, expected, lines),
        *differences.units(outcome, expected),
        *differences.charged(outcome, expected, by_lot=False),
        *differences.money_conserved(outcome),
        *differences.ledger_sound(outcome),
        *_uncounted(store, broker.absent),
        *entitled(
            [record.value for record in broker.all_of(ENTITLEMENTS.name)], outcome.ledger, expected, _orders(lines)
        ),
        *_answered(broker, expected),
    ]
    assert not found, "\n".join(found)


def _orders(lines: Iterable[bytes]) -> list[str]:
    """The debit orders that policies have put in force, after the one that a life begins with."""
    return ["free_first", *{policy["debit_order"] for line in lines if (policy := policy_of(line))}]


def _answered(broker: Broker, expected: Result) -> list[str]:
    """Each command that took effect has the outcome `done` at one place of the log, and no other one has it."""
    records = [decode_outcome(record.value or b"") for record in broker.all_of(OUTCOMES.name)]
    places = {(each.workspace_id, each.source, each.id, each.version) for each in records if each.outcome == "done"}
    wanted = [(each.workspace, each.source, each.id) for each in expected.commands]
    return differences.unequal("outcome", (place[:3] for place in places), wanted)


def _uncounted(store: Store, absent: Mapping[tuple[str, int], list[int]]) -> list[str]:
    """Every record of a partition of events is accounted for, as of each offset that its wallets have told of."""
    points: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for comparison in store.rows("event_count_facts"):
        points[comparison["origin_partition"], comparison["origin_offset"]].append(comparison)
    letters = [(row["source_topic"], row["source_partition"], row["source_offset"]) for row in store.rows(_LETTERS)]
    found: list[str] = []
    for (partition, offset), told in points.items():
        records = offset + 1 - bisect_right(absent.get((CHAT_EVENTS.name, partition), []), offset)
        refused = sum(at[:2] == (CHAT_EVENTS.name, partition) and at[2] <= offset for at in letters)
        taken = sum(comparison["wallet_messages"] for comparison in told)
        occurrences = sum(comparison["wallet_occurrences"] for comparison in told)
        for counts in told:
            still_open = counts["messages"] - counts["closed_messages"]
            accounted = taken + still_open + occurrences + counts["duplicates"] + counts["ticks"]
            accounted += counts["moved"] + refused
            if counts["events"] != accounted or counts["events"] != records:
                found.append(f"events up to {partition}/{offset}: {counts}, accounted for: {accounted}")
    return found


class Audited:
    """A fold that, once restored, is held against one pass over its log. `fresh` is another, without state."""

    def __init__(self, fold: Fold, fresh: Fold, log: Sequence[ConsumerRecord]) -> None:
        self._fold = fold
        self._fresh = fresh
        self._log = log
        self._is_restored = False
        self.spills = fold.spills
        self.process, self.idle, self.mark = fold.process, fold.idle, fold.mark
        self.begin, self.leave_out = fold.begin, fold.leave_out
        self.changed, self.sweep, self.load = fold.changed, fold.sweep, fold.load

    @property
    def is_full(self) -> bool:
        """As `Fold` has it."""
        return self._fold.is_full

    def finish(self, mark: bytes | None, floor: int) -> None:
        """As `Fold` has it."""
        self._is_restored = True
        self._fold.finish(mark, floor)

    def confirm(self, offset: int) -> Iterable[Output]:
        """As `Fold` has it. A stage calls it first of all when it has restored a checkpoint as of `offset`."""
        if self._is_restored:
            self._is_restored = False
            records = [record for record in self._log if record.offset <= offset]
            for _ in self._fresh.process(records) if records else ():
                pass
            expected, found = entries(self._fresh), entries(self._fold)
            differ = [key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)]
            assert not differ, f"restored as of {offset}, {len(differ)} entries are not what one pass gives: {differ}"
        return self._fold.confirm(offset)


def entries(state: State) -> dict[bytes, bytes | None]:
    """All that stands in a state."""
    while not state.sweep(2**62)[1]:
        pass  # The rest of one.
    found: dict[bytes, bytes | None] = {}
    is_swept = False
    while not is_swept:
        block, is_swept = state.sweep(2**62)
        found.update(unpack(block))
    return found


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
