"""The gateway with a real broker and a real worker: commands have outcomes, events are charged, both end in order."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from meter.kafka.reader import records
from meter.kafka.records import Record
from meter.kafka.topics import KafkaTopics
from meter.local.broker import die_with_parent
from schemas.ledger import Entry, decode_ledger_update
from schemas.topics import ENTITLEMENTS, LEDGER
from tests.brokers import EMBEDDED, Broker, running_broker
from tests.gateway.fakes import changed, entitlement
from tests.integration.processes import ROOT, Finished, Worker, command, environment, eventually
from tests.oracle.build import STANDARD, chat
from tests.oracle.build import command as account_command

pytestmark = pytest.mark.integration

KIND = "application/cloudevents+json"
GRANT = account_command("grant.assigned", id="g-1", grant_id="g", amount_micros=1_000_000)


class Gateway:
    """A gateway process, and a client that has a platform administrator's key."""

    def __init__(self, env: dict[str, str], log_file: Path, token: str) -> None:
        self.log_file = log_file
        with log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "meter", "gateway"],
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent(),
            )
        eventually("the gateway listens", lambda: "meter ready" in self.log or self.process.poll() is not None, 60)
        found = re.search(r"^gateway at (http://\S+)$", self.log, re.MULTILINE)
        assert found, self.log
        self.client = httpx.Client(base_url=found[1], headers={"Authorization": f"Bearer {token}"}, timeout=60)
        eventually("the gateway is ready", lambda: self.client.get("/readyz").status_code == 200, 60)

    @property
    def log(self) -> str:
        return self.log_file.read_text("utf-8", "replace")

    def give(self, value: bytes) -> httpx.Response:
        """Give a command and wait for its outcome."""
        return self.client.post("/v1/commands", content=value, headers={"content-type": KIND, "prefer": "wait=30"})

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0, self.log


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with running_broker(EMBEDDED, tmp_path) as running:
        yield running


@contextmanager
def deployed(broker: Broker, directory: Path) -> Iterator[tuple[Gateway, dict[str, str]]]:
    """Topics, a worker and a gateway; at the end both have stopped in order."""
    env = environment(
        KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap,
        KAFKA_IDEMPOTENT="false",
        KAFKA_PARTITIONS="2",
        KAFKA_SESSION_TIMEOUT_S="2",
        METER_API_KEYS_FILE=str(directory / "keys.json"),
    )
    done(command("meter", "topics", env=env))
    worker = Worker("meter", env, directory / "worker.log")
    token = done(command("meter", "keys", "add", "--name", "test", "--role", "platform_admin", env=env)).stdout.strip()
    gateway = Gateway(env, directory / "gateway.log", token)
    try:
        yield gateway, env
        gateway.stop()
        worker.ask_to_stop()
        worker.stopped()
        assert token not in gateway.log
    finally:
        gateway.client.close()
        gateway.process.kill()
        worker.kill()


def done(finished: Finished) -> Finished:
    assert finished.returncode == 0, finished.stderr
    return finished


def charged_micros(broker: Broker) -> dict[str, int]:
    """What the ledger has charged, by workspace. Repeats of an entry count once."""

    async def read() -> dict[str, int]:
        entries: dict[str, tuple[str, Entry]] = {}
        async for record in records(broker.bootstrap, LEDGER):
            update = decode_ledger_update(record.value)
            entries |= {each.entry_id: (update.workspace_id, each) for each in update.entries}
        charges = [(space, each.amount_micros) for space, each in entries.values() if each.kind == "charge"]
        return {space: -sum(amount for other, amount in charges if other == space) for space, _ in charges}

    return asyncio.run(read())


async def write_entitlements(broker: Broker, values: list[tuple[int, bytes]]) -> None:
    topics = KafkaTopics(broker.bootstrap, idempotent=False)
    await topics.start()
    try:
        for partition, value in values:
            found = json.loads(value)
            key = f"{found['workspace_id']}/{found['bot_id']}".encode()
            await topics.write(ENTITLEMENTS.name, partition, [Record(key, value)])
    finally:
        await topics.stop()


def test_commands_events_and_entitlements_through_http(broker: Broker, tmp_path: Path) -> None:
    with deployed(broker, tmp_path) as (gateway, env):
        created = gateway.give(STANDARD)
        assert (created.status_code, created.json()["outcome"]) == (201, "done"), created.text
        first = gateway.give(GRANT)
        assert first.status_code == 201
        again = gateway.give(GRANT)
        assert (again.status_code, again.json()["outcome"]) == (200, "repeated")
        conflict = gateway.give(changed(GRANT, data_amount_micros=7))
        assert (conflict.status_code, conflict.json()["code"]) == (409, "conflict")
        assert gateway.client.get(first.headers["location"]).json() == first.json()

        events = b"[%b,%b]" % (chat(0), chat(0, ws="x", user="other"))
        kind = {"content-type": "application/cloudevents-batch+json"}
        for _ in range(2):
            answer = gateway.client.post("/v1/events", content=events, headers=kind)
            assert (answer.status_code, answer.json()) == (202, {"accepted": 2, "refused": []})
        eventually("both conversations are charged", lambda: len(charged_micros(broker)) == 2, 60, 0.2)
        assert charged_micros(broker) == {"w": 200_000, "x": 200_000}

        # Of 1.00 dollar of free credit 0.20 are spent: four conversations are left.
        eventually("the bot's answer is there", lambda: units_of(gateway, "w", "b") == 4, 60)

        newest = entitlement("b", 9, "other", status="Low Balance")
        values = [(0, entitlement("b", 3, "other")), (1, newest), (0, entitlement("b", 8, "other"))]
        with gateway.client.stream("GET", "/v1/entitlements/stream?workspace_id=other") as stream:
            asyncio.run(write_entitlements(broker, values))
            ids = (line for line in stream.iter_lines() if line.startswith("id: "))
            assert next(each for each in ids if each == "id: 9")
        assert gateway.client.get("/v1/entitlements/other/b").content == newest
        watch = ("meter", "entitlements", "watch", "--once", "--workspace", "other")
        assert done(command(*watch, "--json", env=env)).stdout.encode() == newest + b"\n"
        shown = done(command(*watch, env=env))
        assert "Low Balance" in shown.stdout
        assert shown.stderr == ""


def units_of(gateway: Gateway, workspace_id: str, bot_id: str) -> int | None:
    """How many units the bot's credit covers; None as long as no answer is known."""
    answer = gateway.client.get(f"/v1/entitlements/{workspace_id}/{bot_id}")
    return answer.json()["allowed_units"] if answer.status_code == 200 else None


def test_without_topics_both_commands_say_how_to_make_them(broker: Broker, tmp_path: Path) -> None:
    env = environment(KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap, METER_API_KEYS_FILE=str(tmp_path / "keys.json"))
    for words in (("meter", "entitlements", "watch", "--once"), ("meter", "gateway")):
        finished = command(*words, env=env)
        assert finished.returncode == 1
        assert "run `python -m meter topics` first" in finished.stderr
