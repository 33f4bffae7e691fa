"""The receipts of deliveries: written to their topic, and known by key, as of the end of the topic at an assignment."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterable, Callable
from typing import Final, Protocol

from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError
from tenacity import AsyncRetrying, retry_if_exception_type, wait_exponential_jitter

from meter.kafka import reader
from meter.kafka.records import Delivery as Acknowledged
from meter.kafka.records import Record
from meter.kafka.topics import delivered
from schemas.deliveries import FINAL, Delivery, encode_delivery, read_delivery
from schemas.topics import DELIVERIES

CACHE_KIB: Final = 8 * 1024
"""How much of the index stays in memory; the rest lies in a file without a name, which ends with the process."""

MAX_WAIT_S: Final = 10.0

_BEGUN: Final = 1
_WAITING: Final = 2
_FINAL: Final = 3

logger = logging.getLogger(__name__)


class Topics(Protocol):
    """The topics of a cluster. `meter/kafka/topics.py` implements the writing, `meter/kafka/reader.py` the reading."""

    async def append_keyed(self, topic: str, records: list[Record]) -> list[Acknowledged]:
        """Append records to the partitions of their keys."""

    async def partitions(self, topic: str) -> int:
        """The number of partitions of a topic."""


Read = Callable[[dict[int, int]], AsyncIterable[ConsumerRecord]]
"""Reads the receipts from these offsets by partition, each partition to its present end."""


def reading(bootstrap: str) -> Read:
    """Return the function that reads receipts from Kafka."""
    return lambda starts: reader.records(bootstrap, DELIVERIES, starts)


class Receipts:
    """The receipts of all outlets of one process.

    Call `catch_up` at each assignment of partitions, before the first notice of it: another process may have written
    receipts for these partitions. Memory is bounded by CACHE_KIB.
    """

    def __init__(self, topics: Topics, read: Read) -> None:
        self._topics = topics
        self._read = read
        self._next: dict[int, int] = {}
        self._catching_up = asyncio.Lock()
        # An empty name means a temporary database on disk.
        self._index = sqlite3.connect("", isolation_level=None)
        self._index.execute("PRAGMA journal_mode = OFF")
        self._index.execute("PRAGMA synchronous = OFF")
        self._index.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self._index.execute("CREATE TABLE receipts (key BLOB PRIMARY KEY, state INTEGER NOT NULL) WITHOUT ROWID")

    async def catch_up(self) -> None:
        """Read the receipts that were written since the last call. Raises NewerFormatError and KafkaError."""
        async with self._catching_up:
            partitions = await self._topics.partitions(DELIVERIES.name)
            starts = {number: self._next.get(number, 0) for number in range(partitions)}
            async for record in self._read(starts):
                receipt = read_delivery(record.value)
                if receipt is not None:
                    self._note(receipt)
                self._next[record.partition] = record.offset + 1

    async def write(self, receipt: Delivery) -> None:
        """Write a receipt, and return when the broker has acknowledged it. Tries until then: without it no notice is
        done, and one that was sent would be sent again.
        """
        record = Record(receipt.notice_id.encode("utf-8", "replace"), encode_delivery(receipt))
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(KafkaError), wait=wait_exponential_jitter(max=MAX_WAIT_S)
        ):
            with attempt:
                if attempt.retry_state.attempt_number > 1:
                    logger.warning("a receipt could not be written; trying again")
                await delivered(await self._topics.append_keyed(DELIVERIES.name, [record]))
        self._note(receipt)

    def is_final(self, key: bytes) -> bool:
        """Whether the delivery is done."""
        return self._state(key) == _FINAL

    def is_uncertain(self, key: bytes) -> bool:
        """Whether an attempt was begun of which no end is known."""
        return self._state(key) == _BEGUN

    def _state(self, key: bytes) -> int | None:
        found = self._index.execute("SELECT state FROM receipts WHERE key = ?", (key,)).fetchone()
        return None if found is None else int(found[0])

    def _note(self, receipt: Delivery) -> None:
        """Keep the newest state. A final one stays: a superseded process may write an earlier one after it."""
        state = _FINAL if receipt.status in FINAL else _BEGUN if receipt.status == "begun" else _WAITING
        self._index.execute(
            "INSERT INTO receipts VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET state = excluded.state "
            f"WHERE state != {_FINAL}",
            (receipt.key(), state),
        )

    def close(self) -> None:
        """Give the temporary file back."""
        self._index.close()
