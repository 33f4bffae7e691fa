"""Checkpoints on a broker: what it gives back is what was marked, however much that is."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from meter.admin import create_topics
from meter.checkpoints import Checkpoints, Restored
from meter.embedded import EmbeddedBroker
from meter.log import Log, Record
from schemas.topics import CONVERSATION_STATE
from tests.properties.test_checkpoints import HISTORY, TOPIC, held, mark, truth, written


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedBroker(tmp_path_factory.mktemp("broker") / "broker.log") as embedded:
        asyncio.run(create_topics(embedded.bootstrap, 8, 1))
        yield embedded.bootstrap


@pytest.fixture
async def log(broker: str) -> AsyncIterator[Log]:
    log = Log(broker, idempotent=False)
    await log.start()
    yield log
    await log.stop()


async def test_a_broker_keeps_what_was_marked_last(log: Log) -> None:
    """The whole history, restored by a new process after each checkpoint."""
    checkpoints = Checkpoints(log, CONVERSATION_STATE, 0)
    assert await checkpoints.restore() == Restored(-1, None, {})
    for offset, changes in HISTORY:
        await checkpoints.write(offset, mark(offset), changes.items(), held)
        found = await Checkpoints(log, CONVERSATION_STATE, 0).restore()
        assert found == Restored(offset, mark(offset), truth(HISTORY, offset))


async def test_a_broker_shows_nothing_without_its_mark(log: Log) -> None:
    """A process that ended after any record of its checkpoint."""
    whole = written(HISTORY[:3]).records
    before = len(written(HISTORY[:2]).records)
    for partition, length in enumerate(range(before, len(whole) + 1), 1):
        for record in whole[:length]:
            await log.write(TOPIC, partition, [Record(record.key, record.value, list(record.headers))])
        marks = [int(record.value.split()[1]) for record in whole[:length] if record.key[:1] == b"m" and record.value]
        found = await Checkpoints(log, CONVERSATION_STATE, partition).restore()
        assert found == Restored(marks[-1], mark(marks[-1]), truth(HISTORY, marks[-1]))


async def test_a_broker_gives_a_large_state_back_whole(log: Log) -> None:
    """More than one fetch, more than one batch, records larger than a batch."""
    changes: dict[bytes, bytes | None] = {f"k-{number}".encode(): b"x" * 20_000 for number in range(300)}
    changes[b"large"] = b"y" * 2_000_000
    partition = 7
    checkpoints = Checkpoints(log, CONVERSATION_STATE, partition)
    await checkpoints.restore()
    await checkpoints.write(5, mark(5), changes.items(), held)
    found = await Checkpoints(log, CONVERSATION_STATE, partition).restore()
    assert (found.offset, found.records) == (5, changes)
