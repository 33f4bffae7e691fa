"""Clients of others in a round: transactions, some of them aborted, and batches in any codec."""

import json
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from types import TracebackType
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.topics import CHAT_EVENTS, WALLET_INPUTS
from tests.feeds.generator import generate
from tests.feeds.lines import is_command

CODECS: Final = (None, "gzip", "snappy", "lz4", "zstd")
ABORTED_LINES: Final = 8
TIMEOUT_MS: Final = 5_000
"""After which a broker aborts what a broken producer left open."""

Written = tuple[str, bytes | None, bytes | None]
"""Topic, key and value."""


class Stranger:
    """A producer with transactions, and a new one whenever a transaction fails. Used as an async context manager."""

    def __init__(self, bootstrap: str, seed: int, start_ms: int) -> None:
        self._bootstrap = bootstrap
        self._rng = Random(f"stranger {seed}")
        self._unwanted = generate(seed + 1_000_000, 40 * ABORTED_LINES, start_ms=start_ms)
        self._name = f"stranger-{seed}"
        self._producer: AIOKafkaProducer | None = None

    async def __aenter__(self) -> "Stranger":
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.leave()

    async def write(self, records: Sequence[Written]) -> None:
        """Commit them as one transaction. Raises KafkaError if it is not known whether they were written."""
        await self._transaction(records, commits=True)

    async def abort_some(self) -> None:
        """Write events and commands that would be billed, and abort them; or break off, so that the broker does."""
        lines = self._rng.sample(self._unwanted, ABORTED_LINES)
        try:
            await self._transaction([_written(line) for line in lines], commits=False)
        except KafkaError:
            await self.leave()

    async def _transaction(self, records: Sequence[Written], *, commits: bool) -> None:
        if self._producer is None:
            self._producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                transactional_id=self._name,
                transaction_timeout_ms=TIMEOUT_MS,
                compression_type=self._rng.choice(CODECS),
                max_request_size=32 * 1024 * 1024,
            )
            await self._producer.start()
        producer = self._producer
        await producer.begin_transaction()
        for topic, key, value in records:
            await producer.send_and_wait(topic, value, key)
        if commits:
            await producer.commit_transaction()
        else:
            await producer.abort_transaction()
        if self._rng.random() < 0.3:
            await self.leave()  # The next transaction is another producer's, with another codec.

    async def leave(self) -> None:
        """Close the producer; the next transaction is another one's."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaError):
                await producer.stop()


def _written(line: bytes) -> Written:
    topic = WALLET_INPUTS if is_command(line) else CHAT_EVENTS
    return topic.name, json.loads(line)["data"]["workspace_id"].encode(), line
