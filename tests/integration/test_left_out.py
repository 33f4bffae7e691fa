"""A record that ends every process that reads it stops no partition, on a real broker and with real deaths."""

import asyncio
import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest

from meter.kafka.admin import create_topics
from meter.kafka.records import Record
from meter.kafka.topics import KafkaTopics
from meter.local.broker import EmbeddedBroker
from meter.stage.evidence import DEATHS, LEFT_OUT
from schemas.dead_letters import DeadLetter, from_record
from schemas.topics import CHAT_EVENTS, CONVERSATION_STATE, DEAD_LETTERS
from tests.feeds.generator import generate
from tests.feeds.lines import is_command
from tests.integration import mortal_stage
from tests.integration.mortal_stage import POISON

pytestmark = pytest.mark.integration

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.integration.mortal_stage"])

EVENTS = 40
POISONED = 17


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    with EmbeddedBroker(tmp_path / "broker.log") as embedded:
        asyncio.run(filled(embedded.bootstrap))
        yield embedded.bootstrap


async def filled(bootstrap: str) -> None:
    """Events in one partition; one of them is poison."""
    await create_topics(bootstrap, 1, 1)
    lines = [line for line in generate(seed=5, events=2 * EVENTS) if not is_command(line)][:EVENTS]
    lines[POISONED] = lines[POISONED].replace(b'"id":"', b'"id":"' + POISON)
    topics = KafkaTopics(bootstrap, idempotent=False)
    await topics.start()
    await topics.write(CHAT_EVENTS.name, 0, [Record(b"w", line) for line in lines])
    await topics.stop()


async def found(bootstrap: str) -> tuple[list[DeadLetter], list[bytes]]:
    """The dead letters, and the keys of the records that say what is left out."""
    topics = KafkaTopics(bootstrap, idempotent=False)
    await topics.start()
    letters, keys = [], []
    if end := await topics.end(DEAD_LETTERS.name, 0):
        async for records in topics.read(DEAD_LETTERS.name, 0, 0, end - 1):
            letters += [from_record(each.key, each.value, list(each.headers)) for each in records]
    end = await topics.end(CONVERSATION_STATE.name, 0)
    async for records in topics.read(CONVERSATION_STATE.name, 0, 0, end - 1):
        keys += [each.key for each in records if each.key[:1] == LEFT_OUT]
    await topics.stop()
    return letters, keys


def run(bootstrap: str, how: str) -> int:
    """One process, to its end."""
    process = PROCESSES.Process(target=mortal_stage.run, args=(bootstrap, how))
    process.start()
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


@pytest.mark.parametrize(("how", "status", "most"), [("kill", -9, 6), ("raise", 70, 5)])
def test_processes_that_end_at_a_record_leave_it_out(broker: str, how: str, status: int, most: int) -> None:
    """After a few ends one process reads all; the record is one dead letter, and a replay leaves out the same one."""
    ends = [run(broker, how)]
    while ends[-1] != 0 and len(ends) < 10:
        ends.append(run(broker, how))
    assert ends == [status] * (len(ends) - 1) + [0]
    assert DEATHS < len(ends) <= most + 1
    letters, keys = asyncio.run(found(broker))
    assert {(letter.letter_id, letter.code) for letter in letters} == {(f"chat-events/0/{POISONED}", "internal")}
    assert len(keys) == 1
    assert POISON in (letters[0].value or b"")
    assert run(broker, how) == 0
