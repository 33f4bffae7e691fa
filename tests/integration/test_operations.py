"""Operators' acts on Apache Kafka with real workers: each is refused with a sentence, and a command goes on."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from aggregator.clickhouse.client import ClickHouse
from meter.kafka.requests import SetSettings
from meter.operations.cluster import ends_of
from schemas.exit_statuses import REFUSED
from schemas.topics import CHAT_EVENTS
from tests.brokers import KAFKA, available_brokers, running_broker, why_no_kafka
from tests.feeds.generator import generate
from tests.feeds.lines import millis
from tests.integration.processes import Deployment, command, deployed, eventually

pytestmark = pytest.mark.integration

VIEWS = ("ledger", "conversations", "balances", "usage_daily")


def test_every_act_ends_with_figures_that_agree(tmp_path: Path) -> None:
    """Settings, state made again, a topic created again, and records deleted unread: refused, and exact after the way
    on."""
    if KAFKA not in available_brokers():
        pytest.skip(why_no_kafka() or "")
    with running_broker(KAFKA, tmp_path) as broker:
        if broker.local is None:
            pytest.skip("topics are deleted here, so the broker must be the test's own")
        with deployed(broker, tmp_path, METER_CHECKPOINT_MS="100", AGGREGATOR_FLUSH_MS="50") as it:
            change_settings(it)
            feed(it, seed=5, month=8)
            figures = agreeing(it)
            make_state_again(it, figures)
            create_events_again(it)
            delete_unread(it)


def change_settings(it: Deployment) -> None:
    changed = SetSettings({CHAT_EVENTS.name: {"message.timestamp.type": "CreateTime", "retention.bytes": "9999999"}})
    admin(it, lambda client: client._send_to_controller(changed))
    said = command("meter", "worker", env=it.env)
    assert said.returncode == REFUSED
    assert "message.timestamp.type=CreateTime" in said.stderr
    assert said.stderr.endswith("run `python -m meter topics --repair`\n")
    assert it.do("meter", "topics", "--repair").count("created") == 0


def make_state_again(it: Deployment, before: dict[str, list[Any]]) -> None:
    it.do("meter", "rebuild", "--yes")
    work(it)
    assert agreeing(it) == before


def create_events_again(it: Deployment) -> None:
    admin(it, lambda client: client.delete_topics([CHAT_EVENTS.name]))
    eventually("the topic is created", lambda: "created  chat-events" in it.do("meter", "topics"), 30)
    assert "python -m meter accept-loss" in refused(it)
    known = len(agreeing(it)["conversations"])
    it.do("meter", "accept-loss", "--yes")
    feed(it, seed=6, month=9)
    assert len(agreeing(it)["conversations"]) > known
    assert lost(it) == 4


def delete_unread(it: Deployment) -> None:
    produce(it, seed=7, month=10)
    ends = asyncio.run(ends_of(it.broker.bootstrap, CHAT_EVENTS, 4))[1]
    cut = {TopicPartition(CHAT_EVENTS.name, 1): RecordsToDelete(before_offset=ends.end - 10)}
    admin(it, lambda client: client.delete_records(cut))
    assert "were deleted unread" in refused(it)
    told = json.loads(it.do("meter", "accept-loss", "--yes", "--format", "json"))
    assert (told["kind"], told["last_before_at"]) == ("deleted", None)
    assert told["saved_at"] <= told["first_after_at"]
    work(it)
    agreeing(it)
    assert lost(it) == 5
    assert "a loss of chat-events was accepted" in command("meter", "rebuild", env=it.env).stderr


def feed(it: Deployment, *, seed: int, month: int) -> None:
    produce(it, seed=seed, month=month)
    work(it)


def produce(it: Deployment, *, seed: int, month: int) -> None:
    it.produce(generate(seed=seed, events=200, start_ms=millis(2026, month, 1)))


def work(it: Deployment) -> None:
    """Run one worker of each program until everything is in ClickHouse."""
    it.workers.clear()
    for worker in [it.start(program) for program in ("meter", "aggregator")]:
        worker.ready(120)
    it.drain()


def refused(it: Deployment) -> str:
    """What a worker says that ends because it refuses."""
    worker = it.start("meter")
    eventually("the worker refuses", lambda: worker.ended() is not None, 60)
    it.workers.clear()
    assert worker.ended() == REFUSED, worker.log
    return worker.log


def agreeing(it: Deployment) -> dict[str, list[Any]]:
    """The views, after a reconciliation without a difference."""
    done = command("aggregator", "reconcile", env=it.env)
    assert done.returncode == 0, done.stdout
    with ClickHouse(it.env["CLICKHOUSE_DSN"]) as clickhouse:
        return {view: sorted(clickhouse.query(f"SELECT * FROM {view}"), key=str) for view in VIEWS}


def lost(it: Deployment) -> int:
    with ClickHouse(it.env["CLICKHOUSE_DSN"]) as clickhouse:
        ((count,),) = clickhouse.query("SELECT count() FROM dead_letters WHERE code = 'lost'")
    return int(count)


def admin(it: Deployment, act: Callable[[Any], Awaitable[Any]]) -> None:
    async def run() -> None:
        client = AIOKafkaAdminClient(bootstrap_servers=it.broker.bootstrap)
        await client.start()
        try:
            await act(client)
        finally:
            await client.close()

    asyncio.run(run())
