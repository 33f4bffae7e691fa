"""Damaged inputs through real workers and into ClickHouse."""

import asyncio
import time
from collections import Counter
from pathlib import Path

import pytest

from meter.kafka.records import Record
from meter.kafka.topics import KafkaTopics
from schemas.events import encode_tick
from schemas.topics import CHAT_EVENTS, WALLET_INPUTS
from tests.brokers import EMBEDDED, running_broker
from tests.fuzz.__main__ import ranges
from tests.fuzz.world import Input, judged, written
from tests.integration.outcome import assert_ledger_sound, assert_metered, assert_money_conserved
from tests.integration.processes import deployed
from tests.integration.views import outcome_of
from tests.properties.memory_log import stored

pytestmark = pytest.mark.integration

SEED = 3
COUNT = 20_000


def test_damaged_inputs_through_real_workers(tmp_path: Path) -> None:
    """Each is a row of dead_letters, whole and at its place, or metered as the oracle says; no worker ends of it."""
    inputs = everything()
    now_ms = int(time.time() * 1000)
    refused, result = judged(inputs, now_ms)
    with (
        running_broker(EMBEDDED, tmp_path / "broker") as broker,
        deployed(broker, tmp_path, KAFKA_PARTITIONS="1") as deployment,
    ):
        asyncio.run(write(broker.bootstrap, inputs, result.end))
        workers = [deployment.start(program) for program in ("meter", "aggregator")]
        deployment.drain()
        assert workers == deployment.workers
    outcome = outcome_of(tmp_path)
    found = Counter((row["source_topic"], row["source_offset"], row["payload"]) for row in outcome.dead_letters)
    assert found == Counter(
        (inputs[index].record.topic, inputs[index].record.offset, inputs[index].record.value) for index in refused
    )
    assert_metered(outcome, result)
    assert_money_conserved(outcome)
    assert_ledger_sound(outcome)


def everything() -> list[Input]:
    """The inputs of all batches, one after another: first the commands, then the events."""
    batches = [written(SEED, numbers) for numbers in ranges(COUNT)]
    return [
        Input(each.number, stored(topic, 0, offset, Record(b"w", each.record.value)), each.broken)
        for topic in (WALLET_INPUTS.name, CHAT_EVENTS.name)
        for offset, each in enumerate(each for batch in batches for each in batch[topic])
    ]


async def write(bootstrap: str, inputs: list[Input], end_ms: int) -> None:
    """All to the one partition of its topic, and then the end of the feed."""
    log = KafkaTopics(bootstrap, idempotent=False)
    await log.start()
    try:
        for topic in (WALLET_INPUTS.name, CHAT_EVENTS.name):
            records = [Record(b"w", each.record.value) for each in inputs if each.record.topic == topic]
            await log.write(topic, 0, records)
        await log.write(CHAT_EVENTS.name, 0, [Record(None, encode_tick(end_ms, final=True))])
    finally:
        await log.stop()
