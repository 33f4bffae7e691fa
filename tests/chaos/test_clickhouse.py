"""ClickHouse's stand-in: its files can be copied, brought back and deleted, as an operator would."""

from pathlib import Path

import pytest

from aggregator.clickhouse.client import ClickHouse
from tests.chaos.clickhouse import Server


@pytest.mark.integration
def test_a_copy_that_is_brought_back_has_what_was_there_then(tmp_path: Path) -> None:
    """Not what came later; and it can be written to again. Emptied, it has no table."""
    server = Server(tmp_path / "clickhouse")
    try:
        server.start()
        ask(server, "CREATE TABLE t (n Int64) ENGINE = MergeTree ORDER BY n", "INSERT INTO t VALUES (1)")
        server.kill()
        server.copy()
        server.start()
        ask(server, "INSERT INTO t VALUES (2)")
        assert rows(server) == [(1,), (2,)]
        server.kill()
        server.restore()
        server.start()
        assert rows(server) == [(1,)]
        ask(server, "CREATE DATABASE IF NOT EXISTS default", "INSERT INTO t VALUES (3)")
        assert rows(server) == [(1,), (3,)]
        server.kill()
        server.empty()
        server.start()
        ask(server, "CREATE TABLE t (n Int64) ENGINE = MergeTree ORDER BY n")
        assert rows(server) == []
    finally:
        server.kill()


def ask(server: Server, *statements: str) -> None:
    with ClickHouse(server.dsn) as clickhouse:
        for statement in statements:
            clickhouse.command(statement)


def rows(server: Server) -> list[tuple[int]]:
    with ClickHouse(server.dsn) as clickhouse:
        return [(row[0],) for row in clickhouse.query("SELECT n FROM t ORDER BY n")]
