"""A broker with topics, notices on it, and programs that send them."""

import asyncio
import re
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka import ConsumerRecord

from meter.kafka import reader
from meter.kafka.admin import create_topics
from meter.kafka.records import Record
from meter.kafka.topics import KafkaTopics, delivered
from meter.local.broker import EmbeddedBroker
from schemas.deliveries import Delivery, read_delivery
from schemas.notices import Notice, encode_notice
from schemas.topics import DELIVERIES, NOTICES
from tests.integration.processes import environment, eventually, started

READY = re.compile(r"^notify ready, metrics at (http://\S+)$", re.MULTILINE)
START_S = 60


class Program:
    """A program that sends notices, in a process of its own."""

    def __init__(self, words: list[str], env: dict[str, str], log_file: Path) -> None:
        self.log_file = log_file
        self.process = started(words, env, log_file)

    def metrics(self) -> dict[str, float]:
        """What Prometheus is told, once the program is ready."""
        eventually("notify is ready", lambda: bool(READY.search(self.log_file.read_text())), START_S)
        found = READY.search(self.log_file.read_text())
        assert found is not None
        with urllib.request.urlopen(found[1], timeout=10) as response:
            lines = str(response.read().decode()).splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    def kill(self) -> None:
        """End it with -9, if it has not ended."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """See that it ends in order."""
        self.process.terminate()
        assert self.process.wait(START_S) == 0, self.log_file.read_text()


@dataclass
class Post:
    """A running broker, and what a test does with it."""

    bootstrap: str
    directory: Path
    programs: list[Program] = field(default_factory=list)

    def start(self, *words: str, **variables: str) -> Program:
        """Start a program that sends."""
        log_file = self.directory / f"{len(self.programs)}.log"
        program = Program(list(words or ("meter", "notify")), self.env(**variables), log_file)
        self.programs.append(program)
        return program

    def env(self, **variables: str) -> dict[str, str]:
        """The environment of a command for this broker."""
        return environment(
            KAFKA_BOOTSTRAP_SERVERS=self.bootstrap,
            KAFKA_IDEMPOTENT="false",
            KAFKA_SESSION_TIMEOUT_S="1",
            **variables,
        )

    def write(self, notices: Iterable[Notice | bytes]) -> None:
        """Write notices as the wallet would; bytes as another client would."""
        asyncio.run(self._write(list(notices)))

    async def _write(self, notices: list[Notice | bytes]) -> None:
        topics = KafkaTopics(self.bootstrap, idempotent=False)
        await topics.start()
        records = [
            Record(b"k", each) if isinstance(each, bytes) else Record(each.workspace_id.encode(), encode_notice(each))
            for each in notices
        ]
        await delivered(await topics.append_keyed(NOTICES.name, records))
        await topics.stop()

    def receipts(self) -> list[Delivery]:
        """All receipts, those of one notice in their order."""
        found = [read_delivery(each.value) for each in asyncio.run(self._read())]
        return [each for each in found if each is not None]

    async def _read(self) -> list[ConsumerRecord]:
        return [each async for each in reader.records(self.bootstrap, DELIVERIES)]

    def status(self, notice_id: str, recipient: str) -> str:
        """The newest status of a delivery; empty for none."""
        mine = [each for each in self.receipts() if (each.notice_id, each.recipient) == (notice_id, recipient)]
        return mine[-1].status if mine else ""


@contextmanager
def running_post(directory: Path) -> Iterator[Post]:
    """An embedded broker with the topics, for the length of a `with` block. No program outlives it."""
    with EmbeddedBroker(directory / "broker.log") as broker:
        asyncio.run(create_topics(broker.bootstrap, 2, 1))
        post = Post(broker.bootstrap, directory)
        try:
            yield post
        finally:
            for each in post.programs:
                each.kill()
