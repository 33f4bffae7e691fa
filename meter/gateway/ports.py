"""The ports of the gateway: writing to Kafka. `kafka.py` implements them, tests have fakes."""

from collections.abc import Sequence
from typing import Protocol

from meter.kafka.records import Record
from schemas.topics import Topic


class KafkaAwayError(Exception):
    """Kafka did not acknowledge in time. The records may be written all the same; to write them again is harmless."""


class Writer(Protocol):
    """Writes records, each to the partition of its key, and waits for the broker's acknowledgement."""

    def is_up(self) -> bool:
        """Whether a broker has answered lately. Called before each write, so it must not ask one."""

    async def write(self, topic: Topic, records: Sequence[Record]) -> None:
        """Write records; those of one key in their order. Called for batches. Raises KafkaAwayError."""

    async def write_one(self, topic: Topic, record: Record) -> int:
        """Write one record, and return its offset. Called for a command with an answer. Raises KafkaAwayError."""
