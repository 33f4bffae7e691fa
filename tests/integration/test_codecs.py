"""Batches in each of Kafka's codecs, written by each client, are metered and billed like uncompressed ones."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.consumer import fetcher
from aiokafka.record.memory_records import MemoryRecords

from meter.kafka.reader import records
from meter.kafka.records import Record
from meter.kafka.topics import KafkaTopics
from schemas.events import encode_tick
from schemas.topics import (
    CHAT_EVENTS,
    CONVERSATION_STATE,
    DEAD_LETTERS,
    EVENT_COUNTS,
    LEDGER,
    WALLET_INPUTS,
    WALLET_STATE,
    Topic,
)
from tests.brokers import KAFKA, Broker
from tests.feeds.lines import DAY_MS, MINUTE_MS, chat_data, envelope, line
from tests.integration.outcome import assert_exact
from tests.integration.processes import deployed, eventually
from tests.integration.views import Row
from tests.kafka.producing_clients import CLIENTS, CODECS, Sent, why_no_client

pytestmark = pytest.mark.integration

NOW_MS = int(time.time() * 1000)
START_MS = NOW_MS // DAY_MS * DAY_MS - 2 * DAY_MS
USERS, MESSAGES = 10, 12
RECOMPRESSED = (
    (LEDGER, "snappy"),
    (EVENT_COUNTS, "zstd"),
    (DEAD_LETTERS, "lz4"),
    (CONVERSATION_STATE, "zstd"),
    (WALLET_STATE, "lz4"),
)
"""Topics of the product, each with a codec that an operator chose for it."""

DERIVED = {"workspace_id", "conversation_id", "entry_id", "unit_id", "lot_id", "reverses", "booked_at"}
"""Columns whose values follow from the name of the workspace, or from when its records arrived."""


def workspace_of(codec: str) -> str:
    """The workspace whose commands and events are written in a codec."""
    return f"ws-{codec}"


def commands(codec: str) -> list[bytes]:
    """A workspace is created, and buys credit for some of its conversations."""
    workspace = {"workspace_id": workspace_of(codec)}
    bought = {"order_id": "o", "amount_micros": 5_000_000, "method": "card"}
    created = {"name": "W", "owner": "o@w.example", "plan": "standard", "free_grant_micros": 1_000_000}
    return [
        line(envelope("billing.workspace.created", START_MS, f"{codec}-c", "/console", workspace | created)),
        line(envelope("billing.credits.purchased", START_MS, f"{codec}-p", "/console", workspace | bought)),
    ]


def events(codec: str) -> list[bytes]:
    """Conversations of several users, and one line that is refused."""
    spoken = [
        envelope(
            "chat.message",
            START_MS + MINUTE_MS * (1 + 7 * number + number // 6 * 60) + user,
            f"m-{user}-{number}",
            "/runtime",
            chat_data(workspace_of(codec), "bot", "web", f"user-{user}", ("user", "bot", "agent")[number % 3]),
        )
        for number in range(MESSAGES)
        for user in range(USERS)
    ]
    refused = envelope(
        "chat.message", START_MS, "r", "/runtime", chat_data(workspace_of(codec), "b", "web", "u", "robot")
    )
    return [*map(line, spoken), line(refused)]


SENT = [
    Sent(topic.name, codec, workspace_of(codec).encode(), each)
    for topic, lines in ((WALLET_INPUTS, commands), (CHAT_EVENTS, events))
    for codec in CODECS
    for each in lines(codec)
]


@pytest.mark.parametrize("client", CLIENTS)
def test_batches_of_every_codec_are_billed_alike(broker: Broker, tmp_path: Path, client: str) -> None:
    """Events and commands alike; a worker that is killed restores, and the aggregator reads, topics in other codecs."""
    if why := why_no_client(client):
        pytest.skip(why)
    with deployed(broker, tmp_path) as deployment:
        if broker.name == KAFKA:
            asyncio.run(recompress(broker.bootstrap, RECOMPRESSED))
        CLIENTS[client](broker.bootstrap, SENT)
        for topic in (WALLET_INPUTS, CHAT_EVENTS):
            assert asyncio.run(codecs_in(broker.bootstrap, topic)) == set(range(len(CODECS))), topic.name
        worker, _ = deployment.start("meter"), deployment.start("aggregator").ready()
        every = len(CODECS) * len(events(""))
        eventually("all events are metered", lambda: worker.count("meter_events_total") >= every, 60)
        deployment.restart(worker).ready()
        asyncio.run(close(broker.bootstrap))
        deployment.drain()
        if broker.name == KAFKA:
            for topic, codec in RECOMPRESSED:
                assert asyncio.run(codecs_in(broker.bootstrap, topic)) == {CODECS.index(codec)}, topic.name
    outcome = assert_exact(tmp_path, [each.value for each in SENT], in_order=True)
    assert len(outcome.dead_letters) == len(CODECS)
    for rows in (outcome.conversations, outcome.ledger, outcome.daily, outcome.monthly, outcome.balances):
        by_workspace = comparable(rows)
        assert len(by_workspace) == len(CODECS)
        assert all(found == by_workspace["ws-none"] for found in by_workspace.values())


async def recompress(bootstrap: str, codecs: Sequence[tuple[Topic, str]]) -> None:
    """Have the broker compress what is written to topics, as an operator may."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        changes = [
            ConfigResource(ConfigResourceType.TOPIC, topic.name, topic.config | {"compression.type": codec})
            for topic, codec in codecs
        ]
        (answer,) = await admin.alter_configs(changes)
    finally:
        await admin.close()
    assert {resource[0] for resource in answer.resources} == {0}, answer


async def close(bootstrap: str) -> None:
    """Say in every partition that the events have ended, so that every conversation closes."""
    topics = KafkaTopics(bootstrap, idempotent=False)
    await topics.start()
    try:
        final = Record(None, encode_tick(START_MS + DAY_MS, final=True))
        for partition in range(await topics.partitions(CHAT_EVENTS.name)):
            await topics.write(CHAT_EVENTS.name, partition, [final])
    finally:
        await topics.stop()


async def codecs_in(bootstrap: str, topic: Topic) -> set[int]:
    """The codecs of a topic's batches as a broker sends them, by their numbers."""
    found: set[int] = set()

    class Noted(MemoryRecords):  # type: ignore[misc] # aiokafka has no types.
        def next_batch(self) -> Any:
            batch = super().next_batch()
            found.add(batch.compression_type)
            return batch

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fetcher, "MemoryRecords", Noted)
        async for _ in records(bootstrap, topic):
            pass
    return found


def comparable(rows: list[Row]) -> dict[str, list[str]]:
    """The rows of each workspace, in order, without the ids that follow from its name."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        kept = {name: value for name, value in row.items() if name not in DERIVED}
        found[row["workspace_id"]].append(repr(sorted(kept.items())))
    return {workspace: sorted(each) for workspace, each in found.items()}
