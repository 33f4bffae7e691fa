"""A dead letter on its way back: found, mended, put back once, and metered."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from aiokafka import ConsumerRecord

from meter.dead_letters import inventory as letters
from meter.dead_letters import replay
from meter.kafka import reader
from meter.kafka.records import Record
from meter.kafka.topics import KafkaTopics
from meter.settings import load
from schemas.dead_letters import REPLAY_OF
from schemas.topics import CHAT_EVENTS
from tests.brokers import Broker
from tests.feeds.lines import DAY_MS, MINUTE_MS, chat_data, envelope, line, millis
from tests.integration.outcome import assert_charged, assert_ledger_sound, assert_metered, oracle
from tests.integration.processes import DRAIN_S, ROOT, Deployment, Finished, command, deployed
from tests.integration.views import outcome_of

pytestmark = pytest.mark.integration

START_MS = millis(2026, 9, 1)


def said(number: int, actor: str = "user") -> bytes:
    """The message of one user who has a conversation of their own."""
    data = chat_data("w", "b", "web", f"u-{number}", actor)
    return line(envelope("chat.message", START_MS + number * MINUTE_MS, f"m-{number}", "/runtime", data))


GOOD = [said(0), said(1)]
BROKEN = [said(2, "robot"), said(3, "robot"), said(4, "robot"), b'{"cut": \xff']


def mended(value: bytes) -> bytes:
    return value.replace(b'"robot"', b'"user"')


def dead_letters(deployment: Deployment, *words: str) -> Finished:
    return command("meter", "dead-letters", *words, env=deployment.env)


def listed(deployment: Deployment, *words: str) -> dict[str, dict[str, Any]]:
    """What `list` tells machines, by id."""
    done = dead_letters(deployment, "list", "--format", "json", *words)
    assert done.returncode == 0, done.stderr
    return {row["id"]: row for row in map(json.loads, done.stdout.splitlines())}


def raw(deployment: Deployment, letter_id: str) -> bytes:
    """What `show --raw` writes, byte for byte."""
    words = [sys.executable, "-m", "meter", "dead-letters", "show", letter_id, "--raw"]
    return subprocess.run(words, cwd=ROOT, env=deployment.env, capture_output=True, check=True).stdout


def put_back(deployment: Deployment) -> list[ConsumerRecord]:
    """The records of chat-events that say that they put a letter back."""

    async def read() -> list[ConsumerRecord]:
        return [record async for record in reader.records(deployment.broker.bootstrap, CHAT_EVENTS)]

    return [record for record in asyncio.run(read()) if REPLAY_OF in dict(record.headers)]


def test_letter_is_mended_and_put_back_once(broker: Broker, tmp_path: Path) -> None:
    """Three broken messages, one letter each: put back by one person, by two at once, and by one whose process ends
    between writing the message and saying so. All three are metered once, and no refused record goes from the view."""
    with deployed(broker, tmp_path) as deployment:
        for program in ("meter", "aggregator"):
            deployment.start(program)
        deployment.produce(GOOD + BROKEN)
        deployment.do("meter", "drained", "--timeout", str(DRAIN_S))
        found = {raw(deployment, letter_id): letter_id for letter_id in listed(deployment)}
        assert found.keys() == set(BROKEN)

        once(deployment, found[BROKEN[0]], tmp_path / "first.json")
        two_at_once(deployment, found[BROKEN[1]], tmp_path / "second.json")
        broken_off(deployment, found[BROKEN[2]], mended(BROKEN[2]))

        assert [row["status"] for row in listed(deployment, "--code", "invalid_field").values()] == ["replayed"] * 3
        assert dead_letters(deployment, "replay", found[BROKEN[3]]).returncode == 1
        deployment.produce(GOOD)  # Repeats; then everything is told that this is the end, and closes.
        deployment.drain()
    outcome, expected = outcome_of(tmp_path), oracle(GOOD + [mended(value) for value in BROKEN[:3]])
    assert_metered(outcome, expected)
    assert_charged(outcome, expected, by_lot=True)
    assert_ledger_sound(outcome)
    assert sorted(row["payload"] for row in outcome.dead_letters) == sorted(BROKEN)


def once(deployment: Deployment, letter_id: str, file: Path) -> None:
    """As a person does it; as it is, it would be refused again; a second time it is refused."""
    as_it_is = dead_letters(deployment, "replay", letter_id)
    assert as_it_is.returncode == 1
    assert 'data.actor: "robot" is not one of user, bot, agent, developer' in as_it_is.stderr
    file.write_bytes(mended(raw(deployment, letter_id)))
    assert dead_letters(deployment, "replay", letter_id, "--file", str(file), "--dry-run").returncode == 0
    assert put_back(deployment) == []
    done = dead_letters(deployment, "replay", letter_id, "--file", str(file))
    assert done.returncode == 0, done.stderr
    again = dead_letters(deployment, "replay", letter_id, "--file", str(file))
    (record,) = put_back(deployment)
    place = f"{record.topic}/{record.partition}/{record.offset}"
    assert (record.key, record.value) == (b"w", file.read_bytes())
    assert again.returncode == 1
    assert f"put back before, at {listed(deployment)[letter_id]['replayed_at']} as {place}" in again.stderr


def two_at_once(deployment: Deployment, letter_id: str, file: Path) -> None:
    """Two people who mended it differently: one of them wins, and one record is written."""
    before, processes = len(put_back(deployment)), []
    for name in (b"web", b"sms"):
        own = file.with_suffix(f".{name.decode()}")
        own.write_bytes(mended(raw(deployment, letter_id)).replace(b'"id":"m-3"', b'"id":"m-3-' + name + b'"'))
        words = [sys.executable, "-m", "meter", "dead-letters", "replay", letter_id, "--file", str(own)]
        processes.append(subprocess.Popen(words, cwd=ROOT, env=deployment.env, stderr=subprocess.PIPE))
    assert sorted(process.wait(60) for process in processes) == [0, 1]
    for process in processes:
        assert process.stderr
        process.stderr.close()
    assert len(put_back(deployment)) == before + 1


def broken_off(deployment: Deployment, letter_id: str, value: bytes) -> None:
    """The process ends after the record and before the receipt: the same bytes are written again, and no others."""
    with pytest.raises(ConnectionAbortedError), dying_before_its_receipt():
        asyncio.run(replayed(deployment, letter_id, value))
    assert listed(deployment)[letter_id]["status"] == "begun"
    claimed = pytest.raises(replay.NotPutBackError, match="being put back by another process")
    with patch.object(replay, "PATIENCE_MS", DAY_MS), claimed:
        asyncio.run(replayed(deployment, letter_id, None))
    with patch.object(replay, "PATIENCE_MS", 0):
        with pytest.raises(replay.NotPutBackError, match="other bytes"):
            asyncio.run(replayed(deployment, letter_id, value.replace(b"m-4", b"m-5")))
        asyncio.run(replayed(deployment, letter_id, None))
    assert sum(record.value == value for record in put_back(deployment)) == 2


@contextmanager
def dying_before_its_receipt() -> Iterator[None]:
    """The first append of a replay is its claim, the second its receipt."""
    append, calls = replay.Replayer._append, []

    async def dying(self: replay.Replayer, records: list[Record]) -> None:
        calls.append(records)
        if len(calls) == 2:
            raise ConnectionAbortedError
        await append(self, records)

    with patch.object(replay.Replayer, "_append", dying):
        yield


async def replayed(deployment: Deployment, letter_id: str, value: bytes | None) -> None:
    """What the command does with one letter."""
    settings = load(deployment.env)
    found = await letters.load(settings.kafka_bootstrap_servers)
    letter = replay.waiting(found, found.get(letter_id))
    log = KafkaTopics(settings.kafka_bootstrap_servers, idempotent=settings.kafka_idempotent)
    await log.start()
    try:
        replayer = replay.Replayer(settings, log, force=False)
        checked = replay.begun(found, letter, value)
        checked = checked or await replayer.check(replay.Chosen(letter, value, value))
        async for told in replayer.put_back([checked], found.replays):
            assert isinstance(told, replay.Written)
    finally:
        await log.stop()
