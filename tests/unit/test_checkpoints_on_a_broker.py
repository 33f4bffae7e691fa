"""Checkpoints on a broker: what it gives back is what was marked, however much that is."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from meter.kafka.admin import create_topics
from meter.kafka.records import Record
from meter.kafka.topics import KafkaTopics
from meter.local.broker import EmbeddedBroker
from meter.stage.checkpoints import Checkpoints, Restored
from schemas.topics import CHAT_EVENTS, CONVERSATION_STATE
from tests.properties.memory_state_topic import HISTORY, LIFE, Changes, MemoryStateTopic, Table, held, truth, written


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedBroker(tmp_path_factory.mktemp("broker") / "broker.log") as embedded:
        asyncio.run(create_topics(embedded.bootstrap, 16, 1))
        yield embedded.bootstrap


@pytest.fixture
async def log(broker: str) -> AsyncIterator[KafkaTopics]:
    log = KafkaTopics(broker, idempotent=False)
    await log.start()
    yield log
    await log.stop()


async def restored(log: KafkaTopics, partition: int) -> tuple[int, dict[bytes, bytes]]:
    table = Table()
    found = await Checkpoints(log, CHAT_EVENTS, CONVERSATION_STATE, partition, LIFE).restore(table)
    assert found.offset == table.offset
    return table.offset, table.now


async def test_a_broker_keeps_what_was_marked_last(log: KafkaTopics) -> None:
    """The whole history, restored by a new process after each checkpoint."""
    table = Table()
    checkpoints = Checkpoints(log, CHAT_EVENTS, CONVERSATION_STATE, 0, LIFE)
    assert await checkpoints.restore(table) == Restored(-1, 0)
    for offset, changes in HISTORY:
        table.change(offset, changes)
        await checkpoints.write(offset, table, held)
        assert await restored(log, 0) == (offset, truth(offset))


async def test_a_broker_shows_nothing_without_its_mark(log: KafkaTopics) -> None:
    """A process that ended after any record of its checkpoint."""
    whole = written(HISTORY[:3]).records
    before = len(written(HISTORY[:2]).records)
    for partition, length in enumerate(range(before, len(whole) + 1), 1):
        for record in whole[:length]:
            wanted = [Record(record.key, record.value, list(record.headers))]
            await log.write(CONVERSATION_STATE.name, partition, wanted)
        last = MemoryStateTopic(whole[:length]).marks()[-1]
        assert await restored(log, partition) == (last, truth(last))


async def test_who_wrote_last_on_a_broker_knows_it(log: KafkaTopics) -> None:
    """Until another has made the partition its own."""
    table, partition = Table(), 14
    checkpoints = Checkpoints(log, CHAT_EVENTS, CONVERSATION_STATE, partition, LIFE)
    await checkpoints.restore(table)
    table.change(5, {b"a": b"1"})
    await checkpoints.write(5, table, held)
    assert await checkpoints.are_the_newest()
    assert await restored(log, partition) == (5, {b"a": b"1"})
    assert not await checkpoints.are_the_newest()


async def test_a_broker_gives_a_large_state_back_whole(log: KafkaTopics) -> None:
    """More than one fetch, more than one batch, records larger than a batch."""
    changes: Changes = {f"k-{number}".encode(): b"x" * 20_000 for number in range(300)}
    changes[b"large"] = b"y" * 2_000_000
    table, partition = Table(), 15
    checkpoints = Checkpoints(log, CHAT_EVENTS, CONVERSATION_STATE, partition, LIFE)
    await checkpoints.restore(table)
    table.change(5, changes)
    await checkpoints.write(5, table, held)
    assert await restored(log, partition) == (5, changes)
