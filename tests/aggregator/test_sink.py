"""Writing while ClickHouse fails."""

import pytest
from clickhouse_connect.driver.exceptions import DataError, OperationalError
from prometheus_client import REGISTRY

from aggregator.clickhouse.client import ClickHouse
from aggregator.core.rows import Block
from aggregator.writer import sink
from aggregator.writer.findings import Findings
from aggregator.writer.sink import write
from tests.aggregator.facts import entry, update


def up() -> float:
    return REGISTRY.get_sample_value("aggregator_clickhouse_up") or 0


class Flaky:
    """Stands in for a handle; fails a number of times with an error before it takes a block."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.failures = failures
        self.error = error
        self.blocks: list[Block] = []
        self.up_while_failing: list[float] = []

    def insert(self, block: Block) -> None:
        if self.failures:
            self.failures -= 1
            raise self.error
        self.up_while_failing.append(up())
        self.blocks.append(block)


async def flaky_write(monkeypatch: pytest.MonkeyPatch, failures: int, error: Exception) -> Flaky:
    monkeypatch.setattr(sink, "FIRST_WAIT_S", 0.001)
    stand_in = Flaky(failures, error)
    await write(stand_in, Findings([update(1, entries=[entry(1)])], [], locations=["ledger/0/0"]), {})  # type: ignore[arg-type]  # only insert is used
    return stand_in


async def test_insert_is_tried_until_it_is_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """ClickHouse being away stalls the writing and loses nothing; the gauge tells meanwhile."""
    stand_in = await flaky_write(monkeypatch, 5, OperationalError("away"))
    assert [block.table for block in stand_in.blocks] == ["ledger_entries", "balance_facts"]
    assert stand_in.up_while_failing[0] == 0
    assert up() == 1


async def test_bug_ends_the_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that cannot be encoded would never be; the error comes through instead of being tried for ever."""
    with pytest.raises(DataError):
        await flaky_write(monkeypatch, 1, DataError("no such number"))


async def test_rows_are_readable_once_write_returns(clickhouse: ClickHouse) -> None:
    """Offsets that are committed after `write` are of nothing that a reader could miss."""
    await write(clickhouse, Findings([update(1, entries=[entry(1), entry(2)])], []), {})
    assert clickhouse.query("SELECT count() FROM ledger") == [(2,)]
