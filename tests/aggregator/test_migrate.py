"""The tables and their history."""

import pytest

from aggregator.clickhouse import migrate
from aggregator.clickhouse.client import ClickHouse
from aggregator.core.holdings import HOLDING_TABLES
from aggregator.core.tables import TABLES


def test_second_run_applies_nothing(clickhouse: ClickHouse) -> None:
    """Migrating is safe to repeat."""
    assert migrate.apply(clickhouse) == []
    migrate.require(clickhouse)


def test_step_that_broke_off_is_taken_again(clickhouse: ClickHouse) -> None:
    """A step that was applied but not recorded, whole or half, does no harm when it comes again."""
    clickhouse.command("DROP VIEW usage_monthly")
    clickhouse.command("DROP TABLE schema_migrations")
    assert [step.version for step in migrate.apply(clickhouse)] == [step.version for step in migrate.shipped()]
    assert clickhouse.query("SELECT count() FROM usage_monthly") == [(0,)]


def test_missing_tables_are_told_with_what_to_do(dsn: str) -> None:
    """A worker does not start on tables that lack something."""
    with (
        ClickHouse(dsn) as empty,
        pytest.raises(
            migrate.TablesError,
            match=r"lack 0001_facts, 0002_views, 0003_.*, 0004_holdings: run `python -m aggregator migrate`",
        ),
    ):
        migrate.require(empty)


def test_newer_tables_are_refused(clickhouse: ClickHouse) -> None:
    """An old program neither migrates nor writes the tables of a newer one."""
    clickhouse.command("INSERT INTO schema_migrations (version, slug) VALUES (9000, 'future')")
    for refusing in (migrate.apply, migrate.require):
        with pytest.raises(migrate.TablesError, match=r"at version 9000, .* up to 4: run the newer program"):
            refusing(clickhouse)


def test_tables_are_as_the_rows_are_written(clickhouse: ClickHouse) -> None:
    """Columns, types and keys in the code are those of the migrated tables, and every one keeps the highest version."""
    for table in (*TABLES, *HOLDING_TABLES):
        columns = clickhouse.query(
            f"SELECT name, type FROM system.columns WHERE table = '{table.name}' ORDER BY position"
        )
        assert columns == [(column.name, column.type) for column in table.columns]
        ((engine, key),) = clickhouse.query(
            f"SELECT engine_full, sorting_key FROM system.tables WHERE name = '{table.name}'"
        )
        assert key.split(", ") == list(table.key)
        assert engine.startswith("ReplacingMergeTree(version)")


def test_migrations_are_numbered_without_a_gap() -> None:
    """Two people who add a migration each notice."""
    assert [step.version for step in migrate.shipped()] == list(range(1, len(migrate.shipped()) + 1))


def test_statement_ends_with_a_semicolon_at_the_end_of_a_line() -> None:
    """A semicolon inside a line, as in a comment or a string, ends nothing."""
    assert migrate.split("SELECT ';' AS a; -- b\nFROM c;\n\nSELECT 2;  \n") == [
        "SELECT ';' AS a; -- b\nFROM c",
        "SELECT 2",
    ]
