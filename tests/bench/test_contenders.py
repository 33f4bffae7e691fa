"""Each contender that can run here counts a small feed right, on a real Kafka: every message, every conversation."""

import os
from collections.abc import Iterator

import pytest

from tests.bench import loading
from tests.bench.contenders import streams
from tests.bench.feed import Feed
from tests.bench.roster import METER, STREAMS, Contender, roster
from tests.bench.run import Ground, one
from tests.kafka import local_kafka
from tests.kafka.local_kafka import LocalKafka

pytestmark = pytest.mark.integration

KEYS = 100
EVENTS = 5_000
LIMIT_S = 60
COMMIT_S = 1.0


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """One broker and one feed for all of them, as in a bench."""
    if why := local_kafka.why_unavailable():
        pytest.skip(f"no Apache Kafka: {why}")
    directory = tmp_path_factory.mktemp("bench")
    with LocalKafka(directory / "kafka") as kafka:
        feed = Feed(KEYS, EVENTS)
        loading.load(kafka.bootstrap, feed, lambda _: None)
        yield Ground(KEYS, feed.truth, kafka.bootstrap, directory, max(os.sched_getaffinity(0)), COMMIT_S)


@pytest.mark.parametrize("contender", roster(), ids=lambda contender: str(contender.name))
def test_a_contender_counts_every_message_and_conversation(ground: Ground, contender: Contender) -> None:
    """What it took is the feed, whole; `one` itself raises where a count is not the feed's (see test_audit)."""
    if why := contender.why_not():
        pytest.skip(why)
    if contender.name == STREAMS:
        streams.build()
    run = one(ground, contender, 1, LIMIT_S)
    assert run.is_whole
    assert run.measured.warming + run.measured.events == EVENTS
    assert run.measured.wall_s > 0
    assert 0 < run.measured.cpu_s < run.measured.wall_s * 1.1
    assert run.measured.peak_bytes >= run.measured.start_bytes > 0
    if contender.name == METER:
        assert run.measured.announced > ground.truth.billable
