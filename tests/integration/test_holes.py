"""Fetched batches that never reach the stage, in the middle of a log and at its end."""

import re
import time
from pathlib import Path

import pytest

from tests.brokers import Broker
from tests.feeds.generator import generate
from tests.integration.outcome import assert_ledger_sound, assert_metered, assert_money_conserved
from tests.integration.processes import deployed
from tests.integration.views import outcome_of
from tests.oracle.oracle import meter

pytestmark = pytest.mark.integration


def test_dropped_batches_are_read_again(broker: Broker, tmp_path: Path) -> None:
    """Where Faust drops fetched batches, the stage sees the hole, goes back, and nothing is missing or double."""
    lines = generate(seed=21, events=6_000)
    with deployed(broker, tmp_path) as deployment:
        deployment.produce(lines)
        worker = deployment.start("tests.integration.dropping")
        deployment.start("aggregator")
        deployment.drain()
        assert re.search(r"a hole, reading again", worker.log), "no batch was dropped: the test shows nothing"
    outcome, expected = outcome_of(tmp_path), meter(lines, int(time.time() * 1000))
    assert_metered(outcome, expected)
    assert_money_conserved(outcome)
    assert_ledger_sound(outcome)
