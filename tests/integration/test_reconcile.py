"""Reconciliation of real workers: silent while they work and are killed, and loud when a row is gone."""

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random, SystemRandom

import pytest

from aggregator.clickhouse.client import ClickHouse
from tests.brokers import Broker
from tests.feeds.disorder import shuffle_within, with_malformed
from tests.feeds.generator import generate
from tests.feeds.lines import HOUR_MS, millis
from tests.integration.processes import Worker, command, deployed, eventually

pytestmark = pytest.mark.integration

DIFFERENCE = "aggregator_reconciliation_difference"
ROUND = "aggregator_reconciliation_timestamp_seconds"


def test_a_deleted_row_is_noticed_and_nothing_else(broker: Broker, tmp_path: Path) -> None:
    """At no look under load, with meter workers killed in between, does anything differ; a row deleted by hand then
    shows in the worker's metric and in the command, which names it."""
    seed = SystemRandom().randrange(10**6)
    print(f"the moments of death follow from seed {seed}")
    lines = shuffle_within(generate(seed=9, events=6_000, start_ms=millis(2026, 8, 1)), 6 * HOUR_MS, seed=9)
    lines, _ = with_malformed(lines, seed=9)
    with deployed(broker, tmp_path, AGGREGATOR_RECONCILE_S="0.2", METER_CHECKPOINT_MS="200") as deployment:
        aggregator, meter = deployment.start("aggregator"), deployment.start("meter")
        aggregator.ready()
        rounds = set[float]()
        for part in (lines[:2_000], lines[2_000:4_000], lines[4_000:]):
            meter.ready()
            deployment.produce(part)
            work_for(Random(seed).uniform(0.3, 1.5), lambda: look(aggregator, rounds))
            meter = deployment.restart(meter)
        meter.ready()
        with ThreadPoolExecutor(1) as other:
            draining = other.submit(deployment.do, "meter", "drained", "--timeout", "100")
            while not draining.done():
                look(aggregator, rounds)
            assert draining.result() == "drained\n"
        eventually("several rounds have ended", lambda: len(rounds) > 5 or look(aggregator, rounds), 60)
        deployment.drain()
        told = command("aggregator", "reconcile", env=deployment.env)
        assert told.returncode == 0, told.stdout
        assert "events           difference 0   (4 partitions" in told.stdout
        workspace, seq = delete_an_entry(deployment.env["CLICKHOUSE_DSN"])
        told = command("aggregator", "reconcile", env=deployment.env)
        assert told.returncode == 1
        assert re.search(rf"^ ?ledger_balances +{re.escape(workspace)} +entry {seq}: rows: 0 in", told.stdout, re.M)
        deployment.workers.clear()
        again = deployment.start("aggregator")
        eventually("the worker has noticed", lambda: again.count(DIFFERENCE) > 0, 60)
        # The metric is set before the line is written.
        eventually("the log names the entry", lambda: f"row='entry {seq}'" in again.log, 60)


def look(aggregator: Worker, rounds: set[float]) -> bool:
    """See that nothing differs, and note the round that Prometheus sees. False: there may be more to see."""
    time.sleep(0.1)
    assert aggregator.count(DIFFERENCE) == 0, aggregator.log
    rounds.add(aggregator.count(ROUND))
    return False


def work_for(seconds: float, watch: Callable[[], bool]) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        watch()


def delete_an_entry(dsn: str) -> tuple[str, int]:
    """Some entry in the middle of some ledger."""
    with ClickHouse(dsn) as clickhouse:
        ((workspace, seq),) = clickhouse.query(
            "SELECT workspace_id, seq FROM ledger WHERE kind = 'charge' ORDER BY cityHash64(entry_id) LIMIT 1"
        )
        clickhouse.command(f"ALTER TABLE ledger_entries DELETE WHERE workspace_id = '{workspace}' AND seq = {seq}")
        eventually("it is gone", lambda: entries(clickhouse, workspace, seq) == 0, 30)
    return workspace, seq


def entries(clickhouse: ClickHouse, workspace: str, seq: int) -> int:
    ((count,),) = clickhouse.query(
        f"SELECT count() FROM ledger_entries WHERE workspace_id = '{workspace}' AND seq = {seq}"
    )
    return int(count)
