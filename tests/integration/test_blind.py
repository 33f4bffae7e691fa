"""A worker that could not learn of its topics when it started."""

from pathlib import Path

import pytest

from tests.brokers import KAFKA, Broker
from tests.feeds.generator import generate
from tests.integration.outcome import assert_exact
from tests.integration.processes import DRAIN_S, deployed

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("broker", [KAFKA], indirect=True)
def test_a_worker_that_knew_no_topics_learns_of_them(broker: Broker, tmp_path: Path) -> None:
    """It leads the group and assigns nothing; within seconds it asks again, and all is metered."""
    lines = generate(seed=41, events=300)
    with deployed(broker, tmp_path, METER_LOG_LEVEL="INFO") as deployment:
        worker = deployment.start("tests.integration.blind")
        deployment.start("aggregator")
        deployment.produce(lines)
        worker.ready()
        deployment.do("meter", "drained", "--timeout", str(DRAIN_S))
        # A line that repeats is written once, and which of the topics it names is left to chance.
        assert "Ignoring missing topic: " in worker.log, "it knew its topics: the test shows nothing"
        deployment.drain()
    assert_exact(tmp_path, lines, in_order=True)
