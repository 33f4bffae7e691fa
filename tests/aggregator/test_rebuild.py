"""Rebuilding ClickHouse from a real broker, broken off at every step."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from aggregator.clickhouse import holdings
from aggregator.clickhouse.client import ClickHouse
from aggregator.clickhouse.migrate import apply
from aggregator.kafka.survey import KafkaUnusableError, survey
from aggregator.rebuild.rebuild import plan, rebuild
from aggregator.writer.start import HoldingsError, require_fit
from schemas.topics import DEAD_LETTERS, EVENT_COUNTS, LEDGER, TOPICS
from tests.aggregator.test_worker import history, letters, produce, until_listed
from tests.brokers import EMBEDDED, KAFKA, Broker, available_brokers, running_broker, why_no_kafka

pytestmark = pytest.mark.integration

PARTITIONS = 4
STEPS = (1, 8, 9, 11, 14)
"""After how many calls that change ClickHouse a rebuild is killed: while it empties tables, and while it fills them."""

STATES = (
    "SELECT count(), sum(amount_micros) FROM ledger",
    "SELECT sum(free_micros) FROM balances",
    "SELECT count() FROM dead_letters",
    "SELECT sum(next_offset) FROM offsets_held FINAL",
)


@pytest.fixture(scope="module", params=[EMBEDDED, KAFKA])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    if request.param not in available_brokers():
        pytest.skip(why_no_kafka() or "")
    with running_broker(request.param, tmp_path_factory.mktemp("broker")) as broker:
        asyncio.run(make_topics(broker.bootstrap))
        yield broker


@pytest.fixture
def broker(running: Broker) -> Broker:
    """A broker with new topics that hold updates and dead letters."""
    asyncio.run(make_topics(running.bootstrap, anew=True))
    asyncio.run(produce(running, history()[:400], letters()))
    return running


async def make_topics(bootstrap: str, *, anew: bool = False) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        names = {topic.name for topic in TOPICS}
        if anew:
            await admin.delete_topics([*names])
            await until_listed(admin, names.isdisjoint)
        await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
        await until_listed(admin, names.issubset)
    finally:
        await admin.close()


class Silent:
    def begin(self, total: int) -> None:
        self.total = total

    def advance(self, count: int) -> None:
        self.total -= count


class BreakingOff:
    """ClickHouse that ends the process before its call number `at` that changes something."""

    def __init__(self, clickhouse: ClickHouse, at: int) -> None:
        self._clickhouse = clickhouse
        self._left = at

    def __getattr__(self, name: str) -> Any:
        if name in ("insert", "command"):
            self._left -= 1
            if self._left < 0:
                raise KeyboardInterrupt
        return getattr(self._clickhouse, name)


def fill(broker: Broker, clickhouse: ClickHouse, *, from_start: bool = False) -> None:
    progress = Silent()
    asyncio.run(rebuild(broker.bootstrap, clickhouse, progress, from_start=from_start))
    assert progress.total == 0


def start(broker: Broker, clickhouse: ClickHouse) -> None:
    require_fit(clickhouse, asyncio.run(survey(broker.bootstrap)))


def state(clickhouse: ClickHouse) -> list[Any]:
    return [clickhouse.query(sql) for sql in STATES]


def test_a_rebuild_killed_at_any_step_ends_at_what_the_topics_hold(broker: Broker, clickhouse: ClickHouse) -> None:
    """A rebuild that is killed before any of its steps ends, when repeated, at what the topics hold."""
    fill(broker, clickhouse)
    start(broker, clickhouse)
    whole = state(clickhouse)
    assert whole[0][0][0] == 400
    assert whole[2] == [(100,)]
    for steps in STEPS if broker.name == EMBEDDED else STEPS[-1:]:
        with pytest.raises(KeyboardInterrupt):
            fill(broker, BreakingOff(clickhouse, steps), from_start=True)  # type: ignore[arg-type]  # stands in for it
        with pytest.raises(HoldingsError, match="not finished"):
            start(broker, clickhouse)
        fill(broker, clickhouse)
        assert state(clickhouse) == whole, steps


def test_topics_created_again_are_noticed_and_rebuilt_from(broker: Broker, clickhouse: ClickHouse) -> None:
    """Topics that were deleted and created again are refused; after a rebuild ClickHouse holds theirs alone."""
    fill(broker, clickhouse)
    asyncio.run(make_topics(broker.bootstrap, anew=True))
    asyncio.run(produce(broker, history()[:80], []))
    with pytest.raises(HoldingsError, match=r"created again.*`python -m aggregator rebuild`"):
        start(broker, clickhouse)
    assert asyncio.run(plan(broker.bootstrap, clickhouse, from_start=False)).is_emptied
    kept = asyncio.run(plan(broker.bootstrap, clickhouse, from_start=False, keeps=True))
    assert (kept.is_emptied, kept.offsets) == (False, 80)
    fill(broker, clickhouse)
    start(broker, clickhouse)
    assert state(clickhouse)[0][0][0] == 80
    assert state(clickhouse)[2] == [(0,)]


def test_an_empty_clickhouse_under_old_offsets_is_refused_and_rebuilt(
    broker: Broker, clickhouse: ClickHouse, tmp_path: Path
) -> None:
    """A ClickHouse that lacks what the group has read is refused; after a rebuild it holds the same as the first."""
    fill(broker, clickhouse)
    whole = state(clickhouse)
    clickhouse.close()
    with ClickHouse(f"chdb://{tmp_path}/other") as other:
        apply(other)
        with pytest.raises(HoldingsError, match=r"lacks what the group has read.*`python -m aggregator rebuild`"):
            start(broker, other)
        fill(broker, other)
        start(broker, other)
        assert state(other) == whole

        # A backup of the same life: what it holds is kept, and only the rest is read.
        asyncio.run(produce(broker, history()[400:480], []))
        assert asyncio.run(plan(broker.bootstrap, other, from_start=False)).offsets == 80
        fill(broker, other)
        assert state(other)[0][0][0] == 480
        assert holdings.read(other).state == "whole"


def test_topics_of_different_sizes_are_refused(tmp_path: Path) -> None:
    """A worker does not start where a topic has got partitions that the others lack."""
    with running_broker(EMBEDDED, tmp_path) as running:
        asyncio.run(uneven_topics(running.bootstrap))
        with pytest.raises(KafkaUnusableError, match=r"have 2: .*; 3: ledger; .*`python -m meter begin-anew`"):
            asyncio.run(survey(running.bootstrap))


async def uneven_topics(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics(
            [
                NewTopic(topic.name, 3 if topic is LEDGER else 2, 1)
                for topic in TOPICS
                if topic in (LEDGER, DEAD_LETTERS, EVENT_COUNTS)
            ]
        )
    finally:
        await admin.close()


def test_empty_topics_are_a_rebuild_of_nothing(running: Broker, clickhouse: ClickHouse) -> None:
    """After `begin-anew` nothing is there to read; the client stops all the same, again and again."""
    asyncio.run(make_topics(running.bootstrap, anew=True))
    for _ in range(5):
        fill(running, clickhouse, from_start=True)
    start(running, clickhouse)
    assert state(clickhouse)[0] == [(0, 0)]


def test_few_records_are_a_rebuild_that_ends(running: Broker, clickhouse: ClickHouse) -> None:
    """The client is stopped while its first fetches are still under way."""
    asyncio.run(make_topics(running.bootstrap, anew=True))
    asyncio.run(produce(running, history()[:5], letters()[:1]))
    for _ in range(5):
        fill(running, clickhouse, from_start=True)
    assert state(clickhouse)[0][0][0] == 5
