"""Migrations: numbered SQL files that create the tables and change them, each applied once, in order."""

import re
from importlib.resources import files
from typing import Final

import msgspec

from aggregator.clickhouse.client import ClickHouse

_NAME: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_END_OF_STATEMENT: Final = re.compile(r";[ \t]*$", re.MULTILINE)

_HISTORY: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    version UInt32,
    slug String,
    applied_at DateTime('UTC') DEFAULT now('UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY version
"""


class TablesError(Exception):
    """The tables do not fit this program. The message is one sentence that says what to do."""


class NewerTablesError(TablesError):
    """A newer program has migrated the tables. Only its version, or a later one, can go on."""


class Migration(msgspec.Struct, frozen=True):
    """One numbered file. Its statements must be safe to repeat: a migration that failed half-way is run again."""

    version: int
    slug: str
    statements: list[str]

    @property
    def name(self) -> str:
        """The name of the file without `.sql`."""
        return f"{self.version:04d}_{self.slug}"


def shipped() -> list[Migration]:
    """The migrations that this program brings, oldest first."""
    found = [
        Migration(int(match[1]), match[2], split(file.read_text("utf-8")))
        for file in files("aggregator.clickhouse.migrations").iterdir()
        if (match := _NAME.fullmatch(file.name))
    ]
    return sorted(found, key=lambda migration: migration.version)


def split(sql: str) -> list[str]:
    """Split a file into statements. A semicolon at the end of a line ends a statement, even in a comment."""
    return [statement.strip() for statement in _END_OF_STATEMENT.split(sql) if statement.strip()]


def apply(clickhouse: ClickHouse) -> list[Migration]:
    """Apply the missing migrations and return them. Raises NewerTablesError."""
    clickhouse.command(_HISTORY)
    migrations = missing(clickhouse)
    for each in migrations:
        for statement in each.statements:
            clickhouse.command(statement)
        clickhouse.command(f"INSERT INTO schema_migrations (version, slug) VALUES ({each.version}, '{each.slug}')")
    return migrations


def missing(clickhouse: ClickHouse) -> list[Migration]:
    """The migrations not applied yet, oldest first. Raises NewerTablesError if a newer one was applied."""
    known = shipped()
    applied = _applied(clickhouse)
    newest = known[-1].version
    if any(version > newest for version in applied):
        raise NewerTablesError(
            f"the tables are at version {max(applied)}, and this program knows them up to {newest}: "
            "run the newer program that migrated them"
        )
    return [migration for migration in known if migration.version not in applied]


def require(clickhouse: ClickHouse) -> None:
    """Raise TablesError unless all migrations of this program were applied, NewerTablesError if a newer one was."""
    migrations = missing(clickhouse)
    if migrations:
        names = ", ".join(each.name for each in migrations)
        raise TablesError(f"the tables lack {names}: run `python -m aggregator migrate` first")


def _applied(clickhouse: ClickHouse) -> set[int]:
    if clickhouse.query("EXISTS TABLE schema_migrations") == [(0,)]:
        return set()
    return {int(version) for (version,) in clickhouse.query("SELECT DISTINCT version FROM schema_migrations")}
