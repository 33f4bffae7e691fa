"""Workers that do only one of the two stages share the work with those that do the other, or both."""

from pathlib import Path

import pytest

from tests.brokers import Broker
from tests.feeds.generator import generate
from tests.feeds.lines import millis
from tests.integration.outcome import assert_exact
from tests.integration.processes import deployed

pytestmark = pytest.mark.integration


def test_workers_of_one_stage_and_of_both_meter_a_feed_exactly(broker: Broker, tmp_path: Path) -> None:
    """Each topic's partitions go only to workers that read it, so no event and no input of a wallet waits for ever."""
    lines = generate(5, 2_000, start_ms=millis(2026, 8, 29))
    with deployed(broker, tmp_path) as deployment:
        for stages in ("charge", "sessionize,charge", "sessionize"):
            deployment.variables["METER_STAGES"] = stages
            deployment.start("meter").ready()
        del deployment.variables["METER_STAGES"]
        deployment.start("aggregator").ready()
        deployment.produce(lines)
        deployment.drain()
    assert_exact(tmp_path, lines, in_order=True)
