"""What `meter sql` refuses: a query that is wrong or writes, and a database or directory that it cannot read."""

from pathlib import Path

import pytest

from tests.cli.refusals import assert_refused, meter
from tests.integration.processes import answer

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("dsn", ["nonsense", "nonsense://127.0.0.1:8123"])
def test_broken_dsn_is_refused_where_it_is_asked(dsn: str) -> None:
    """By name."""
    assert_refused(meter("sql", "SELECT 1", CLICKHOUSE_DSN=dsn), "CLICKHOUSE_DSN")


def test_sql_wants_a_data_directory_that_a_run_has_left(tmp_path: Path) -> None:
    """A directory that is not there, or without tables, is none."""
    assert_refused(meter("sql", "--data", tmp_path / "none", "SELECT 1"), str(tmp_path / "none"), "meter run")
    assert_refused(meter("sql", "--data", tmp_path, "SELECT 1"), str(tmp_path), "meter run")
    assert list(tmp_path.iterdir()) == []
    dsn = f"chdb://{tmp_path}/clickhouse"
    assert_refused(meter("sql", "SELECT * FROM balances", CLICKHOUSE_DSN=dsn), f"{tmp_path}/clickhouse")


@pytest.mark.parametrize(
    ("query", "output_format", "word"),
    [
        ("SELEC 1", "CSVWithNames", "Syntax error"),
        ("SELECT no_such_column FROM balances", "CSVWithNames", "no_such_column"),
        ("SELECT * FROM no_such_table", "JSONEachRow", "no_such_table"),
        ("SELECT 1", "NoSuchFormat", "NoSuchFormat"),
        ("", "CSVWithNames", "query"),
    ],
)
def test_bad_sql_is_refused(metered: Path, query: str, output_format: str, word: str) -> None:
    """In the words of ClickHouse, of which the first line is enough."""
    assert_refused(meter("sql", "--data", metered, query, "--format", output_format), word, advice=False)


@pytest.mark.parametrize(
    "query",
    [
        "DROP TABLE ledger_entries",
        "TRUNCATE TABLE ledger_entries",
        "INSERT INTO balance_facts SELECT * FROM balance_facts",
        "ALTER TABLE ledger_entries DELETE WHERE 1",
        "CREATE TABLE mine (x UInt8) ENGINE = Memory",
        "SET readonly = 0",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1; DROP TABLE ledger_entries",
        "INSERT INTO FUNCTION file('ledger.csv', 'CSV') SELECT 1",
    ],
)
def test_writing_sql_is_refused(metered: Path, query: str) -> None:
    """Analysts can change nothing."""
    before = answer(metered, "SELECT count() AS entries, sum(amount_micros) AS amount FROM ledger")
    assert_refused(meter("sql", "--data", metered, query), advice=False)
    assert answer(metered, "SELECT count() AS entries, sum(amount_micros) AS amount FROM ledger") == before
