"""A log that lost its end and was filled again beyond the mark, on Apache Kafka: refused by its leader epochs."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from meter.operations.cluster import Ends, ends_of
from schemas.topics import CHAT_EVENTS
from tests.brokers import KAFKA, available_brokers, running_broker, why_no_kafka
from tests.feeds.lines import chat_data, envelope, line, millis
from tests.integration.processes import Deployment, deployed
from tests.integration.test_operations import agreeing, refused, work
from tests.kafka.cut_log import cut_log

pytestmark = pytest.mark.integration

PARTITION = 1
LOST = 10
WORKSPACES = 20


@pytest.mark.timeout(900)
def test_a_log_that_is_filled_again_beyond_the_mark_is_refused_and_goes_on_exactly(tmp_path: Path) -> None:
    """All that is new is billed, once; what was lost stays billed and is written down."""
    if KAFKA not in available_brokers():
        pytest.skip(why_no_kafka() or "")
    with running_broker(KAFKA, tmp_path) as broker:
        if broker.local is None:
            pytest.skip("the log is cut on the disk, so the broker must be the test's own")
        with deployed(broker, tmp_path, METER_CHECKPOINT_MS="100", AGGREGATOR_FLUSH_MS="50") as it:
            for month in (6, 7, 8):
                it.produce(feed(f"month-{month}", month=month, users=3))
            work(it)
            before = agreeing(it)
            mark = ends(it).end - 1
            broker.local.kill()
            first = cut_log(tmp_path / "kafka", CHAT_EVENTS.name, PARTITION, LOST)
            broker.local.start()
            it.produce(feed("after", month=9, users=9))
            assert first <= mark - LOST + 1
            assert ends(it).end > mark + 1, "the log is filled again beyond the mark"
            assert f"chat-events/{PARTITION} has lost acknowledged records from offset {first} on" in refused(it)
            told = json.loads(it.do("meter", "accept-loss", "--yes", "--format", "json"))
            assert (told["kind"], told["partition"], told["first_offset"]) == ("replaced", PARTITION, first)
            assert told["last_before_at"] < told["saved_at"] < told["first_after_at"]
            work(it)
            after = agreeing(it)
    assert users(before) == expected("month-6", 3) + expected("month-7", 3) + expected("month-8", 3)
    assert users(after) == users(before) + expected("after", 9)


def feed(name: str, *, month: int, users: int) -> list[bytes]:
    """One message of each user: a conversation, whose charge is seen in the ledger."""
    start_ms = millis(2026, month, 1)
    return [
        line(
            envelope(
                "chat.message",
                start_ms + number,
                f"{name}-{number}",
                "/runtime",
                chat_data(f"w-{number % WORKSPACES}", "bot", "web", f"{name}-{number}", "user"),
            )
        )
        for number in range(users * WORKSPACES)
    ]


def users(figures: dict[str, list[Any]]) -> Counter[str]:
    """How many conversations each user has."""
    return Counter(str(each[4]) for each in figures["conversations"])


def expected(name: str, users: int) -> Counter[str]:
    """One conversation for each user of a feed."""
    return Counter(f"{name}-{number}" for number in range(users * WORKSPACES))


def ends(it: Deployment) -> Ends:
    return asyncio.run(ends_of(it.broker.bootstrap, CHAT_EVENTS, 4))[PARTITION]
