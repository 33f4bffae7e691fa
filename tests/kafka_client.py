"""A fetch as Kafka's client reads it by itself, to compare with."""

from collections.abc import Sequence

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.record.memory_records import MemoryRecords

from meter.kafka.fetched import Fetched


def read_by_client(data: bytes, start: int, aborted: Sequence[tuple[int, int]] = ()) -> tuple[list[Fetched], int]:
    """The committed records from offset `start` on, and the next offset to fetch."""
    records = PartitionRecords(
        TopicPartition("t", 0),
        MemoryRecords(data),
        aborted,
        start,
        None,
        None,
        check_crcs=True,
        isolation_level=READ_COMMITTED,
    )
    # A broker sends no batch that is wholly below the start; the client would go back to it.
    return [record for record in records if record.offset >= start], max(start, records.next_fetch_offset)
