"""What `meter sql` refuses before ClickHouse sees it."""

from pathlib import Path

import pytest

from meter.settings import SettingsError, load
from meter.sql import SqlError, query_data


@pytest.mark.parametrize("query", ["SELECT 1 INTO OUTFILE 'x'", "select 1\ninto  outfile 'x' format CSV"])
def test_a_query_that_would_write_a_file_is_refused(query: str, tmp_path: Path) -> None:
    """Analysts only read: ClickHouse's own read-only mode lets this one pass."""
    (tmp_path / "clickhouse").mkdir()
    with pytest.raises(SqlError, match="INTO OUTFILE"):
        query_data(tmp_path, query, "CSV")


def test_words_in_a_text_are_no_statement(tmp_path: Path) -> None:
    """What stands in quotes is data."""
    answer = query_data(_empty(tmp_path), "SELECT 'it''s into outfile' AS words", "CSV")
    assert answer == b'"it\'s into outfile"\n'


@pytest.mark.parametrize("dsn", ["chdb://", "chdb:///", "chdb:////", "clickhouse://", "ftp://host"])
def test_a_dsn_that_names_nothing_is_refused(dsn: str) -> None:
    """The root of the file system is nobody's data directory."""
    with pytest.raises(SettingsError, match="CLICKHOUSE_DSN"):
        load({"CLICKHOUSE_DSN": dsn})


def _empty(data: Path) -> Path:
    (data / "clickhouse").mkdir()
    return data
