"""A worker that was paused beyond its session goes on writing after another has taken its partitions."""

import time
from pathlib import Path
from random import Random, SystemRandom

import pytest

from tests.brokers import KAFKA, Broker
from tests.feeds.generator import generate
from tests.integration.outcome import assert_ledger_sound, assert_metered, assert_money_conserved
from tests.integration.processes import deployed
from tests.integration.views import outcome_of
from tests.oracle.oracle import meter

pytestmark = pytest.mark.integration

PAUSE_S = 8.0
"""Longer than the session of any deployment here."""


@pytest.mark.parametrize("broker", [KAFKA], indirect=True)
def test_a_superseded_worker_changes_nothing(broker: Broker, tmp_path: Path) -> None:
    """It still writes; nothing is lost and nothing is charged twice."""
    seed = SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    random, lines = Random(seed), generate(seed=31, events=12_000)
    with deployed(broker, tmp_path) as deployment:
        deployment.start("aggregator")
        workers = [deployment.start("meter"), deployment.start("meter")]
        for worker in workers:
            worker.ready()
        deployment.produce(lines)
        for worker in workers:
            time.sleep(random.uniform(0, 0.5))
            worker.pause()
            time.sleep(PAUSE_S)
            worker.wake()
        deployment.drain()
    outcome, expected = outcome_of(tmp_path), meter(lines, int(time.time() * 1000))
    assert_metered(outcome, expected)
    assert_money_conserved(outcome)
    assert_ledger_sound(outcome)
