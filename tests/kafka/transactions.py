"""Kafka clients that write transactions, step by step, so that a test can do other things between two steps."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaProducer

from tests.kafka.producing_clients import FLUSH_S, LINGER_MS, Sent

MARKER_S: Final = 30
OPEN_MS: Final = 600_000
"""How long a transaction may stay open before the broker aborts it: longer than any test."""


class Writer(Protocol):
    """A producer with transactions. `begin` comes first, then `send`, then one of `commit` and `abort`; then again."""

    def begin(self) -> None: ...
    def send(self, sent: Iterable[Sent]) -> None:
        """Write records, and return when the broker has them."""

    def commit(self) -> None: ...
    def abort(self) -> None: ...
    def close(self) -> None: ...


class AiokafkaWriter:
    """The client in Python that the product uses too, on an event loop of its own."""

    def __init__(self, bootstrap: str, name: str, codec: str | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._producer = self._loop.run_until_complete(_started(bootstrap, name, codec))

    def begin(self) -> None:
        self._loop.run_until_complete(self._producer.begin_transaction())

    def send(self, sent: Iterable[Sent]) -> None:
        async def send() -> None:
            for delivery in [await self._producer.send(each.topic, each.value, each.key) for each in sent]:
                await delivery

        self._loop.run_until_complete(send())

    def commit(self) -> None:
        self._loop.run_until_complete(self._producer.commit_transaction())

    def abort(self) -> None:
        self._loop.run_until_complete(self._producer.abort_transaction())

    def close(self) -> None:
        self._loop.run_until_complete(self._producer.stop())
        self._loop.close()


async def _started(bootstrap: str, name: str, codec: str | None) -> AIOKafkaProducer:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, transactional_id=name, compression_type=codec, transaction_timeout_ms=OPEN_MS
    )
    await producer.start()
    return producer


class ConfluentWriter:
    """confluent-kafka, on librdkafka. Keys go where Kafka's other clients put them."""

    def __init__(self, bootstrap: str, name: str, codec: str | None = None) -> None:
        from confluent_kafka import Producer

        self._producer: Any = Producer(
            {
                "bootstrap.servers": bootstrap,
                "transactional.id": name,
                "transaction.timeout.ms": OPEN_MS,
                "linger.ms": LINGER_MS,
                "partitioner": "murmur2_random",
                "compression.type": codec or "none",
            }
        )
        self._producer.init_transactions(MARKER_S)

    def begin(self) -> None:
        self._producer.begin_transaction()

    def send(self, sent: Iterable[Sent]) -> None:
        for each in sent:
            self._producer.produce(each.topic, each.value, each.key)
        assert self._producer.flush(FLUSH_S) == 0

    def commit(self) -> None:
        self._producer.commit_transaction(MARKER_S)

    def abort(self) -> None:
        self._producer.abort_transaction(MARKER_S)

    def close(self) -> None:
        pass
