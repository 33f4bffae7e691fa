"""The worker's own look: what Prometheus is told of it."""

import time

import pytest
from clickhouse_connect.driver.exceptions import OperationalError
from prometheus_client import REGISTRY

from aggregator.clickhouse.client import ClickHouse
from aggregator.core.reconciliation.sums import PAIRS
from aggregator.reconciliation import rounds, watch
from aggregator.reconciliation.watch import Watch
from tests.aggregator.test_reconcile_cli import WHOLE, write


def difference(pair: str) -> float | None:
    return REGISTRY.get_sample_value("aggregator_reconciliation_difference", {"pair": pair})


def told(name: str) -> float:
    value = REGISTRY.get_sample_value(f"aggregator_reconciliation_{name}")
    assert value is not None
    return value


async def test_what_differs_is_a_metric_and_a_line_in_the_log(
    clickhouse: ClickHouse, caplog: pytest.LogCaptureFixture
) -> None:
    """Each pair has a number from the first look on; a row is named in the log once, however often it is seen."""
    looker = Watch(clickhouse, lambda: True)
    write(clickhouse, WHOLE)
    await looker.look()
    assert {pair: difference(pair) for pair in PAIRS} == dict.fromkeys(PAIRS, 0)
    clickhouse.command("DELETE FROM usage_daily_facts WHERE 1")
    for _ in range(2):
        await looker.look()
    assert {pair for pair in PAIRS if difference(pair)} == {"units_rollups", "ledger_rollups"}
    assert sum("figure='sessions'" in line for line in caplog.messages) == 1
    write(clickhouse, WHOLE)
    await looker.look()
    assert {pair: difference(pair) for pair in PAIRS} == dict.fromkeys(PAIRS, 0)


async def test_only_one_worker_shows_anything(clickhouse: ClickHouse) -> None:
    """Where it is another's turn there is no difference to see, and no age: the highest of all is that of the one."""
    turns = [True, False]
    looker = Watch(clickhouse, lambda: turns.pop(0))
    await looker.look()
    assert (difference("events"), told("timestamp_seconds") > 0) == (0, True)
    await looker.look()
    assert (difference("events"), told("timestamp_seconds"), told("incomplete")) == (0, 0, 0)


async def test_a_look_that_fails_grows_old(clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """ClickHouse being away stops neither the worker nor later looks; the time of the last good round tells."""
    looker = Watch(clickhouse, lambda: True)
    await looker.look()
    before = told("timestamp_seconds")

    def away(_: str) -> None:
        raise OperationalError("away")

    with monkeypatch.context() as patch:
        patch.setattr(looker._reconciliation, "_ask", away)
        await looker.look()
        assert told("timestamp_seconds") == before
    await looker.look()
    assert before < told("timestamp_seconds") <= time.time()


async def test_the_time_is_that_of_a_whole_round(clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a round goes on over several looks its beginning is not told: not everything has been seen since then."""
    monkeypatch.setattr(watch, "BUDGET_S", 0)
    monkeypatch.setattr(rounds, "CHUNK_WORKSPACES", 1)
    write(clickhouse, WHOLE)
    looker = Watch(clickhouse, lambda: True)
    await looker.look()
    began = told("timestamp_seconds")
    await looker.look()  # The round ends: behind the one workspace there is none.
    assert told("timestamp_seconds") == began
    for _ in range(2):
        await looker.look()
    assert told("timestamp_seconds") > began
