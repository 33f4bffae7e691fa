"""`reconcile`, as typed."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aggregator.cli.main import main
from aggregator.clickhouse.client import ClickHouse
from aggregator.clickhouse.migrate import apply
from aggregator.core.reconciliation.sums import PAIRS
from aggregator.core.rows import ledger_update_blocks
from schemas.ledger import ControlTotals, LedgerUpdate
from tests.aggregator.facts import PRICE_MICROS, conversation, entry, update, usage

WHOLE = update(
    7,
    entries=[entry(1)],
    conversations=[conversation(1, requests=2)],
    usage=[usage()],
    free_micros=-PRICE_MICROS,
    totals=ControlTotals(entries=1, conversations=1, messages=2),
)


def reconcile(dsn: str, *words: str) -> Result:
    return CliRunner(env={"CLICKHOUSE_DSN": dsn}).invoke(main, ["reconcile", *words])


@pytest.fixture
def written(dsn: str) -> str:
    with ClickHouse(dsn) as clickhouse:
        apply(clickhouse)
        write(clickhouse, WHOLE)
    return dsn


def write(clickhouse: ClickHouse, *updates: LedgerUpdate) -> None:
    for block in ledger_update_blocks(updates):
        clickhouse.insert(block)


def test_a_line_a_pair_and_exit_0_where_all_agrees(written: str) -> None:
    """Each pair is there, with how much was compared: nothing compared is no agreement."""
    done = reconcile(written)
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert [line.split()[:3] for line in lines] == [[pair, "difference", "0"] for pair in PAIRS]
    assert "(0 partitions, 1 workspaces)" in lines[0]


def test_exit_1_names_the_first_rows(written: str) -> None:
    """People are told which row of which table says what."""
    with ClickHouse(written) as clickhouse:
        clickhouse.command("DELETE FROM conversation_facts WHERE conversation_id = 'conversation-1'")
    done = reconcile(written)
    assert done.exit_code == 1
    assert "units_rollups    difference 1" in done.output
    assert "ledger_rollups   difference 0" in done.output
    assert "bot bot, 2022-01-08: requests: 0 in conversation_facts, 2 in usage_daily_facts" in done.output
    assert "conversation conversation-1: charged_free_micros: 200,000 in ledger_entries, 0 in" in done.output


def test_json_is_one_line_with_everything(written: str) -> None:
    """Machines get the same, in numbers."""
    with ClickHouse(written) as clickhouse:
        clickhouse.command("DELETE FROM ledger_entries WHERE seq = 1")
    done = reconcile(written, "--format", "json")
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    told = json.loads(done.output)
    assert told["pairs"] == dict.fromkeys(PAIRS, 1) | {"events": 0, "units_rollups": 0}
    assert {
        "pair": "ledger_balances",
        "scope": "workspace",
        "row": "entry 1",
        "figure": "rows",
        "one_table": "ledger_entries",
        "one": 0,
        "other_table": "balance_facts",
        "other": 1,
    } in told["differences"]


def test_rows_that_stopped_half_way_are_waited_for_and_then_differ(written: str) -> None:
    """An update whose balance never comes, as after a crash without a restart."""
    with ClickHouse(written) as clickhouse:
        for block in ledger_update_blocks([update(8, entries=[entry(2)])])[:-1]:
            clickhouse.insert(block)
    done = reconcile(written, "--grace", "0.2")
    assert done.exit_code == 1
    assert "balance: version: 8 in ledger_entries, 7 in balance_facts" in done.output


def test_tables_that_are_missing_are_no_agreement(dsn: str, tmp_path: Path) -> None:
    """Without tables there is one sentence, and exit code 1."""
    done = reconcile(dsn)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "run `python -m aggregator migrate` first" in done.stderr
    assert list(tmp_path.iterdir()) != []
