"""ClickHouse in a process of its own: what it has answered for, it keeps, however it is taken away."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aggregator.clickhouse.client import ClickHouse, is_passing
from aggregator.clickhouse.migrate import apply
from aggregator.core.records import read_letter
from aggregator.core.rows import letter_blocks
from tests.aggregator.test_dead_letters import Record
from tests.chaos.clickhouse import Server

pytestmark = pytest.mark.integration


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "clickhouse")
    server.start()
    yield server
    server.kill()


def insert(clickhouse: ClickHouse, values: list[bytes]) -> None:
    """As dead letters, in one insert."""
    letters = [read_letter(Record(value=value, offset=offset)) for offset, value in enumerate(values)]
    for block in letter_blocks(letters):
        clickhouse.insert(block)


def test_an_insert_of_many_megabytes_is_there_whole_after_a_kill(server: Server) -> None:
    """The client sends it as several compressed frames; each row of each outlives the process."""
    values = [bytes([65 + number]) * 3_000_000 for number in range(12)] + [b"\xff\x00", b""]
    with ClickHouse(server.dsn) as clickhouse:
        apply(clickhouse)
        insert(clickhouse, values)
        server.kill()
        with pytest.raises(Exception, match="Connection refused") as away:
            clickhouse.query("SELECT 1")
        assert is_passing(away.value)
        server.start()
        rows = clickhouse.query("SELECT offset, length(payload), hex(substring(payload, 1, 2)) FROM dead_letters")
    assert sorted(rows) == [(at, len(value), value[:2].hex().upper()) for at, value in enumerate(values)]


def test_what_it_refuses_is_told_as_a_server_tells_it(server: Server) -> None:
    """An error keeps ClickHouse's own words, and the connection goes on."""
    with ClickHouse(server.dsn) as clickhouse:
        with pytest.raises(Exception, match="no_such_table") as refusal:
            clickhouse.query("SELECT * FROM no_such_table")
        assert is_passing(refusal.value)
        assert clickhouse.query("SELECT 1") == [(1,)]


def test_two_workers_share_it(server: Server) -> None:
    """Unlike a directory, which one process owns."""
    with ClickHouse(server.dsn) as one, ClickHouse(server.dsn) as other:
        apply(one)
        insert(one, [b"a"])
        assert other.query("SELECT count() FROM dead_letters") == [(1,)]
