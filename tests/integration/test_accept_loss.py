"""Accepting a loss on a broker, killed before any of its writes."""

import asyncio
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from meter.kafka import reader
from meter.kafka.admin import create_topics
from meter.kafka.records import Record
from meter.kafka.topics import KafkaTopics
from meter.operations import accept_loss
from meter.operations.accept_loss import Accepting
from meter.operations.cluster import newest_marks
from meter.operations.marks import write_mark
from meter.operations.stages import STAGES, StageTopics
from meter.settings import Settings
from meter.stage.mark import Life, Version, new_mark
from schemas.instants import rfc3339
from schemas.topic_identity import TopicIdentity
from schemas.topics import DEAD_LETTERS, Topic
from tests.brokers import EMBEDDED, Broker, running_broker

pytestmark = pytest.mark.integration


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with running_broker(EMBEDDED, tmp_path) as running:
        yield running


class Killed(BaseException):
    """The process ends."""


class Dying(KafkaTopics):
    """Topics whose process ends before its write number `dies_at`."""

    dies_at = -1

    async def write(self, topic: str, partition: int, records: Any) -> None:
        self._step()
        await super().write(topic, partition, records)

    async def write_one(self, topic: str, partition: int, record: Record) -> int:
        self._step()
        return await super().write_one(topic, partition, record)

    @classmethod
    def _step(cls) -> None:
        cls.dies_at -= 1
        if cls.dies_at == -1:
            raise Killed


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.source.name)
def test_new_records_are_read_whenever_the_command_is_killed(
    broker: Broker, stage: StageTopics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before any write and repeated, every new record lies above the mark, and the loss has one location.

    So no dead letter of a new record has the location of a former one, which it would replace in ClickHouse.
    """
    monkeypatch.setattr(accept_loss, "KafkaTopics", Dying)
    settings = Settings(kafka_bootstrap_servers=broker.bootstrap, kafka_idempotent=False)
    asyncio.run(create_topics(broker.bootstrap, 1, 1))
    for step in range(8):
        lost = asyncio.run(lose(settings, stage, step))
        Dying.dies_at = step
        with pytest.raises(Killed) if step < 7 else nullcontext():
            asyncio.run(accept(settings))
        asyncio.run(accept(settings))
        asyncio.run(see(settings, stage, lost, step))
    assert asyncio.run(Accepting(settings).find()) == []


async def lose(settings: Settings, stage: StageTopics, step: int) -> int:
    """Write a mark of another topic's life above the end of the log, and new records below it. Returns its offset."""
    topics = KafkaTopics(settings.kafka_bootstrap_servers, idempotent=False)
    await topics.start()
    try:
        end = len(await log(settings, stage.source))
        former = TopicIdentity("cluster", "former", 1)
        mark = new_mark(Life(0, former, await topics.identity(stage.state.name)), -1, (), b"")
        await write_mark(topics, stage.state, 0, Version(0, end + 25), mark)
        await topics.write(stage.source.name, 0, [Record(b"key", value, []) for value in new_records(step)])
    finally:
        await topics.stop()
    return end + 25


def new_records(step: int) -> list[bytes]:
    return [b"event %d of %d" % (number, step) for number in range(7)]


async def accept(settings: Settings) -> None:
    accepting = Accepting(settings)
    await accepting.accept(await accepting.find())


async def see(settings: Settings, stage: StageTopics, lost: int, step: int) -> None:
    newest = (await newest_marks(settings.kafka_bootstrap_servers, stage.state))[0]
    assert newest.version.offset > lost
    read = {each.value for each in await log(settings, stage.source) if each.offset > newest.version.offset}
    assert set(new_records(step)) <= read
    letters = [dict(each.headers) for each in await log(settings, DEAD_LETTERS)]
    assert {each["source-offset"] for each in letters if int(each["source-offset"]) >= lost} == {b"%d" % (lost + 1)}
    assert {each["code"] for each in letters} == {b"lost"}
    after = rfc3339((await log(settings, stage.source))[0].timestamp)
    reasons = {(each["reason"] or b"").decode() for each in letters if int(each["source-offset"] or b"") == lost + 1}
    (reason,) = reasons  # The same each time, although the log has become longer meanwhile.
    assert "; last record before: not known, state saved: 20" in reason
    assert reason.endswith(f", first record after: {after}")


async def log(settings: Settings, topic: Topic) -> list[ConsumerRecord]:
    return [each async for each in reader.records(settings.kafka_bootstrap_servers, topic, {0: 0})]
