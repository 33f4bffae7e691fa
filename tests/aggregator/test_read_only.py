"""What the read-only query refuses before ClickHouse sees it."""

from pathlib import Path

import pytest

from aggregator.clickhouse.read_only import QueryError, query
from aggregator.settings import load
from schemas.environment import SettingsError


@pytest.mark.parametrize("sql", ["SELECT 1 INTO OUTFILE 'x'", "select 1\ninto  outfile 'x' format CSV"])
def test_a_query_that_would_write_a_file_is_refused(sql: str, tmp_path: Path) -> None:
    """Analysts only read: ClickHouse's own read-only mode lets this one pass."""
    with pytest.raises(QueryError, match="INTO OUTFILE"):
        query(f"chdb://{tmp_path}", sql, "CSV")


def test_words_in_a_text_are_no_statement(tmp_path: Path) -> None:
    """What stands in quotes is data."""
    answer = query(f"chdb://{tmp_path}", "SELECT 'it''s into outfile' AS words", "CSV")
    assert answer == b'"it\'s into outfile"\n'


def test_a_directory_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """A mistyped path must not leave an empty data directory behind."""
    with pytest.raises(QueryError, match="not a data directory"):
        query(f"chdb://{tmp_path}/none", "SELECT 1", "CSV")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dsn", ["chdb://", "chdb:///", "chdb:////", "clickhouse://", "ftp://host"])
def test_a_dsn_that_names_nothing_is_refused(dsn: str) -> None:
    """The root of the file system is not a data directory."""
    with pytest.raises(SettingsError, match="CLICKHOUSE_DSN"):
        load({"CLICKHOUSE_DSN": dsn})
