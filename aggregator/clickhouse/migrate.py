"""Brings the tables to what this program writes: numbered SQL files, each applied once, in order."""

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
    """The tables are not the ones this program writes: one sentence that says what to do."""


class Migration(msgspec.Struct, frozen=True):
    """One numbered step. Every statement may be repeated, so a step that broke off is simply taken again."""

    version: int
    slug: str
    statements: list[str]

    @property
    def name(self) -> str:
        """As the file is called, without its ending."""
        return f"{self.version:04d}_{self.slug}"


def shipped() -> list[Migration]:
    """All migrations of this program, oldest first."""
    found = [
        Migration(int(match[1]), match[2], split(file.read_text("utf-8")))
        for file in files("aggregator.clickhouse.migrations").iterdir()
        if (match := _NAME.fullmatch(file.name))
    ]
    return sorted(found, key=lambda migration: migration.version)


def split(sql: str) -> list[str]:
    """The statements of a file. A statement ends with a semicolon at the end of a line."""
    return [statement.strip() for statement in _END_OF_STATEMENT.split(sql) if statement.strip()]


def apply(clickhouse: ClickHouse) -> list[Migration]:
    """Applies what is missing and says what that was. Raises TablesError if the tables are newer than this program."""
    clickhouse.command(_HISTORY)
    steps = missing(clickhouse)
    for step in steps:
        for statement in step.statements:
            clickhouse.command(statement)
        clickhouse.command(f"INSERT INTO schema_migrations (version, slug) VALUES ({step.version}, '{step.slug}')")
    return steps


def missing(clickhouse: ClickHouse) -> list[Migration]:
    """The migrations not applied yet, oldest first. Raises TablesError if some were applied that this program lacks."""
    known = shipped()
    applied = _applied(clickhouse)
    newest = known[-1].version
    if any(version > newest for version in applied):
        raise TablesError(
            f"the tables are at version {max(applied)}, and this program knows them up to {newest}: "
            "run the newer program that migrated them"
        )
    return [migration for migration in known if migration.version not in applied]


def require(clickhouse: ClickHouse) -> None:
    """Raises TablesError unless the tables are exactly those that this program writes."""
    steps = missing(clickhouse)
    if steps:
        names = ", ".join(step.name for step in steps)
        raise TablesError(f"the tables lack {names}: run `python -m aggregator migrate` first")


def _applied(clickhouse: ClickHouse) -> set[int]:
    if clickhouse.query("EXISTS TABLE schema_migrations") == [(0,)]:
        return set()
    return {int(version) for (version,) in clickhouse.query("SELECT DISTINCT version FROM schema_migrations")}
