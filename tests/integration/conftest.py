"""Every test of the pipeline runs on each broker that is to be had here, each on one of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers import EMBEDDED, KAFKA, Broker, running_broker, why_no_kafka


@pytest.fixture(params=[EMBEDDED, KAFKA])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    if request.param == KAFKA and (why := why_no_kafka()):
        pytest.skip(why)
    with running_broker(request.param, tmp_path / "broker") as running:
        yield running
