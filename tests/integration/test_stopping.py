"""Workers that are told to end while there is no broker to take leave of."""

import time
from functools import partial
from pathlib import Path

import pytest

from tests.brokers import KAFKA, Broker
from tests.feeds.generator import generate
from tests.integration.processes import Worker, deployed, eventually

pytestmark = pytest.mark.integration

FAILING_S = 1.0
"""Long enough for every fetch to have failed, and to be about to be tried again."""

END_S = 25.0
"""Within the half minute that is usually given before a kill. A meter tries for five seconds to write what it has."""


@pytest.mark.parametrize("broker", [KAFKA], indirect=True)
def test_workers_end_while_the_broker_is_away(broker: Broker, tmp_path: Path) -> None:
    """A worker that waits for a broker can still be stopped, and need not be killed."""
    if broker.local is None:
        pytest.skip("this Kafka is not ours to kill")
    with deployed(broker, tmp_path) as deployment:
        workers = [deployment.start(program) for program in ("meter", "meter", "aggregator")]
        deployment.produce(generate(seed=51, events=300))
        for worker in workers:
            worker.ready()
        broker.local.kill()
        time.sleep(FAILING_S)
        for worker in workers:
            worker.ask_to_stop()
        for worker in workers:
            eventually(f"{worker.log_file.name} has ended", partial(_has_ended, worker), END_S)


def _has_ended(worker: Worker) -> bool:
    return worker.ended() is not None
