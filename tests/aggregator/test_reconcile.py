"""Reconciliation against the engine: a row that is missing or changed, in each table."""

from collections.abc import Iterator
from random import Random

import pytest

from aggregator.clickhouse.client import ClickHouse
from aggregator.clickhouse.migrate import apply
from aggregator.core.rows import ledger_update_blocks
from aggregator.reconciliation import rounds
from aggregator.reconciliation.rounds import Reconciliation, judged_in_time
from tests.aggregator.facts import PRICE_MICROS, conversation, entry, update
from tests.aggregator.histories import flushes, metered
from tests.properties.memory_log import MemoryLog

LONG_S = 10**9


@pytest.fixture(scope="module")
def log() -> MemoryLog:
    return metered(seed=4)


@pytest.fixture(scope="module")
def filled(log: MemoryLog, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """All rows of a feed. A test that takes something away puts it back."""
    with ClickHouse(f"chdb://{tmp_path_factory.mktemp('filled')}/clickhouse") as clickhouse:
        apply(clickhouse)
        fill(clickhouse, log)
        yield clickhouse


def fill(clickhouse: ClickHouse, log: MemoryLog) -> None:
    for flush in flushes(log, seed=0, most=10_000):
        for block in flush:
            clickhouse.insert(block)


class Clock:
    """Goes on by what is waited."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        self.now_s += seconds


def looked(clickhouse: ClickHouse) -> Reconciliation:
    """A finished look at everything."""
    clock = Clock()
    reconciliation = Reconciliation(clickhouse.query, 10, clock)
    reconciliation.look()
    assert judged_in_time(reconciliation, 10, clock.wait)
    return reconciliation


def test_several_short_looks_make_one_round(filled: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that may not take long goes on where the last one ended; every workspace is looked at once a round."""
    monkeypatch.setattr(rounds, "CHUNK_WORKSPACES", 1)
    updates: list[int] = []
    reconciliation = Reconciliation(filled.query, LONG_S)
    while not reconciliation.look(budget_s=0, on_chunk=updates.append):
        pass
    ((workspaces,),) = filled.query("SELECT count() FROM balances")
    assert sum(updates) == workspaces > 2
    assert len(updates) > workspaces


# Rows that are missing or changed.

DELETED = {
    "ledger_entries": {"units_ledger", "ledger_rollups", "ledger_balances"},
    "conversation_facts": {"events", "units_ledger", "units_rollups"},
    "usage_daily_facts": {"events", "units_rollups", "ledger_rollups"},
    "balance_facts": {"ledger_balances"},
    "dead_letter_facts": {"events"},
}
KEYS = {
    "ledger_entries": "workspace_id, seq",
    "conversation_facts": "workspace_id, conversation_id",
    "usage_daily_facts": "workspace_id, bot_id, day",
    "balance_facts": "workspace_id",
    "dead_letter_facts": "source_topic, source_partition, source_offset",
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("table", DELETED)
def test_a_row_deleted_by_hand_is_noticed(table: str, seed: int, filled: ClickHouse, log: MemoryLog) -> None:
    """Any row of any table is gone: some pair differs, in one place, and is right again once it is back."""
    key = KEYS[table]
    used = "WHERE total_units + agent_messages + developer_messages > 0" if table == "usage_daily_facts" else ""
    rows = filled.query(f"SELECT {key}, toString(tuple({key})) FROM {table} FINAL {used} ORDER BY ALL")
    gone = Random(seed).choice(rows)
    filled.command(f"ALTER TABLE {table} DELETE WHERE toString(tuple({key})) = {quoted(gone[-1])} {NOW}")
    found = looked(filled)
    assert found.differences
    assert {each.pair for each in found.differences} <= DELETED[table]
    expected = f"{gone[0]}/{gone[1]}" if table == "dead_letter_facts" else gone[0]
    assert {each.scope for each in found.differences if each.figure != "workspaces"} == {expected}
    assert sum(each.figure == "workspaces" for each in found.differences) == (table == "balance_facts")
    fill(filled, log)
    found.look()
    assert found.differences == []


@pytest.mark.parametrize(
    ("table", "change", "pairs"),
    [
        ("ledger_entries", "amount_micros = amount_micros - 1", {"ledger_balances"}),
        ("conversation_facts", "charged_paid_micros = charged_paid_micros + 1", {"units_ledger", "units_rollups"}),
        ("conversation_facts", "requests = requests + 1", {"units_rollups"}),
        ("conversation_facts", "messages = messages + 1", {"events"}),
        ("usage_daily_facts", "charged_free_micros = charged_free_micros - 1", {"units_rollups", "ledger_rollups"}),
        ("usage_daily_facts", "sessions = sessions + 1", {"units_rollups"}),
        ("usage_daily_facts", "total_units = total_units + 1", {"units_rollups"}),
        ("usage_daily_facts", "agent_messages = agent_messages + 1", {"events"}),
        ("balance_facts", "free_micros = free_micros + 1, paid_micros = paid_micros - 1", {"ledger_balances"}),
        ("balance_facts", "lapsed_micros = lapsed_micros + 1", {"ledger_balances"}),
    ],
)
def test_a_changed_figure_is_noticed(
    table: str, change: str, pairs: set[str], filled: ClickHouse, log: MemoryLog
) -> None:
    """A micro-dollar or a unit more or less, in one row, in any table; the row and both figures are named."""
    key = f"toString(tuple({KEYS[table]}))"
    which = {"ledger_entries": "kind = 'charge'", "conversation_facts": "billable AND state = 'closed'"}.get(table, "1")
    ((workspace, row),) = filled.query(
        f"SELECT workspace_id, {key} FROM {table} FINAL WHERE {which} ORDER BY ALL LIMIT 1"
    )
    filled.command(f"ALTER TABLE {table} UPDATE {change} WHERE {key} = {quoted(row)} {NOW}")
    found = looked(filled)
    assert pairs <= {each.pair for each in found.differences}
    assert {each.scope for each in found.differences} == {workspace}
    assert any(table in (each.one_table, each.other_table) and each.one != each.other for each in found.differences)
    refill(filled, log, table)
    assert looked(filled).differences == []


def test_amounts_moved_between_conversations_are_noticed(filled: ClickHouse, log: MemoryLog) -> None:
    """The sums of a workspace stay as they were; the checksums do not, and both conversations are named."""
    ((workspace, *two),) = filled.query(
        "SELECT workspace_id, groupArray(2)(conversation_id)[1], groupArray(2)(conversation_id)[2] FROM "
        "conversation_facts FINAL WHERE billable GROUP BY workspace_id, bot_id HAVING count() > 1 ORDER BY ALL LIMIT 1"
    )
    for changed, sign in zip(two, "+-", strict=True):
        filled.command(
            f"ALTER TABLE conversation_facts UPDATE charged_paid_micros = charged_paid_micros {sign} 5 "
            f"WHERE conversation_id = '{changed}' {NOW}"
        )
    found = looked(filled).differences
    by_row = [each for each in found if each.pair == "units_ledger"]
    assert {each.row for each in by_row} == {f"conversation {each}" for each in two}
    assert {(each.scope, each.figure, each.other - each.one) for each in by_row} == {
        (workspace, "charged_paid_micros", 5),
        (workspace, "charged_paid_micros", -5),
    }
    refill(filled, log, "conversation_facts")


def test_a_changed_comparison_is_noticed(filled: ClickHouse, log: MemoryLog) -> None:
    """Also what everything is compared with is compared."""
    filled.command(f"ALTER TABLE event_count_facts UPDATE closed_messages = closed_messages + 1 WHERE 1 {NOW}")
    assert {each.pair for each in looked(filled).differences} == {"events"}
    refill(filled, log, "event_count_facts")
    filled.command(f"ALTER TABLE event_count_facts UPDATE ticks = ticks + 1 WHERE wallet_partition = 1 {NOW}")
    assert {each.figure for each in looked(filled).differences} == {"events"}
    refill(filled, log, "event_count_facts")


def test_a_workspace_that_stays_unfinished_differs(filled: ClickHouse, log: MemoryLog) -> None:
    """Rows without their balance are on their way for as long as an update may take; then no worker writes them."""
    ((workspace,),) = filled.query("SELECT max(workspace_id) FROM balance_facts")
    filled.command(f"ALTER TABLE balance_facts DELETE WHERE workspace_id = {quoted(workspace)} {NOW}")
    clock = Clock()
    reconciliation = Reconciliation(filled.query, 10, clock)
    for waited_s, expected in ((0.0, (0, 2)), (9.0, (0, 2)), (1.0, (2, 0))):
        clock.wait(waited_s)
        reconciliation.look()
        assert (len(reconciliation.differences), reconciliation.incomplete) == expected
    of_partition, difference = reconciliation.differences
    assert (of_partition.figure, of_partition.other - of_partition.one) == ("workspaces", -1)
    assert (difference.scope, difference.row) == (workspace, "balance, which is missing")
    fill(filled, log)
    reconciliation.look()
    assert (reconciliation.differences, reconciliation.incomplete) == ([], 0)


def test_a_workspace_that_is_gone_altogether_is_noticed(filled: ClickHouse, log: MemoryLog) -> None:
    """Nothing is left of it that could differ but the number of workspaces."""
    ((workspace, partition),) = filled.query(
        "SELECT workspace_id, wallet_partition FROM balance_facts FINAL ORDER BY ALL LIMIT 1"
    )
    for table in ("ledger_entries", "conversation_facts", "usage_daily_facts", "balance_facts"):
        filled.command(f"ALTER TABLE {table} DELETE WHERE workspace_id = {quoted(workspace)} {NOW}")
    (difference,) = looked(filled).differences
    assert (difference.scope, difference.figure) == (f"wallet-inputs/{partition}", "workspaces")
    assert difference.one == difference.other + 1
    fill(filled, log)
    assert looked(filled).differences == []


@pytest.mark.parametrize("name", ["it's", "back\\slash", "'; --", "日本語"])
def test_names_are_only_text(name: str, filled: ClickHouse) -> None:
    """For any name of a workspace, asking about it and naming its rows does what it says."""
    blocks = ledger_update_blocks([update(1, workspace_id=name, entries=[entry(1)], conversations=[conversation(1)])])
    for block in blocks:
        filled.insert(block)
    reconciliation = looked(filled)
    reconciliation.look_again()
    assert {each.scope for each in reconciliation.differences} == {name}
    assert {each.one for each in reconciliation.differences if each.row == "bot bot"} == {PRICE_MICROS}
    for block in blocks:
        filled.command(f"ALTER TABLE {block.table} DELETE WHERE workspace_id = {quoted(name)} {NOW}")


NOW = "SETTINGS mutations_sync = 2"


def quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def refill(clickhouse: ClickHouse, log: MemoryLog, table: str) -> None:
    """Put a table back as it was."""
    clickhouse.command(f"TRUNCATE TABLE {table}")
    fill(clickhouse, log)
