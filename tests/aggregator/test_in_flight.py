"""Reconciliation while rows are on their way: never wrong, and in the end complete."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from aggregator.clickhouse.client import ClickHouse
from aggregator.clickhouse.migrate import apply
from aggregator.core.reconciliation.sums import Row
from aggregator.core.rows import Block
from aggregator.reconciliation.rounds import Reconciliation
from tests.aggregator.histories import PARTITIONS, flushes, metered

LONG_S = 10**9


@pytest.mark.parametrize("seed", range(3))
def test_nothing_differs_while_rows_are_on_their_way(seed: int, tmp_path: Path) -> None:
    """After any insert of a history with crashes, repeats and split updates, a look finds no difference.

    It judges what it can, and in the end everything."""
    log = metered(seed)
    with ClickHouse(f"chdb://{tmp_path}/clickhouse") as clickhouse:
        apply(clickhouse)
        reconciliation = Reconciliation(clickhouse.query, LONG_S)
        incomplete = 0
        for flush in flushes(log, seed):
            for block in flush:
                clickhouse.insert(block)
                reconciliation.look()
                assert reconciliation.differences == []
                incomplete += reconciliation.incomplete > 0
        assert incomplete > 5
        assert (reconciliation.incomplete, reconciliation.partitions) == (0, PARTITIONS)
        assert_all_agrees(clickhouse)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_differs_while_rows_come_between_two_questions(seed: int, tmp_path: Path) -> None:
    """The tables are asked one after another; what is inserted meanwhile makes nothing differ either."""
    rng, log = Random(seed), metered(seed)
    with ClickHouse(f"chdb://{tmp_path}/clickhouse") as clickhouse:
        apply(clickhouse)
        waiting = [block for flush in flushes(log, seed, most=10) for block in flush]
        inserts = iter(waiting)

        def ask(sql: str) -> list[Row]:
            for _ in range(rng.choice((0, 0, 1, 3))):
                insert_next(clickhouse, inserts)
            return clickhouse.query(sql)

        reconciliation = Reconciliation(ask, LONG_S)
        for _ in range(len(waiting) // 5):
            reconciliation.look()
            assert reconciliation.differences == []
        while insert_next(clickhouse, inserts):
            pass
        assert_all_agrees(clickhouse)


def insert_next(clickhouse: ClickHouse, blocks: Iterator[Block]) -> bool:
    block = next(blocks, None)
    if block is not None:
        clickhouse.insert(block)
    return block is not None


def assert_all_agrees(clickhouse: ClickHouse) -> None:
    """A first look finds nothing wrong, and nothing that cannot be judged."""
    reconciliation = Reconciliation(clickhouse.query, LONG_S)
    reconciliation.look()
    assert (reconciliation.differences, reconciliation.incomplete) == ([], 0)
