"""Misplaced records: those in another partition than their workspace's, which are moved there (docs/adr/0017).

A misplaced record is no input of its partition's fold. It is an output of the batch that holds it, so a crash repeats
the move and loses nothing. A repeat changes nothing, because a fold remembers (workspace, source, id).
"""

from typing import Final

from meter import metrics
from meter.core.rejection import Rejected
from meter.kafka.fetched import Fetched
from meter.kafka.home import home_of
from meter.kafka.records import Record
from meter.stage.fold import Output
from schemas.moves import Move, move_of
from schemas.shortened_letters import BATCH_BYTES
from schemas.topics import ACCOUNT_COMMANDS, CHAT_EVENTS, MAX_RECORD_BYTES, WALLET_INPUTS, Topic

WRONG_PARTITION: Final = "wrong_partition"

for _topic in (CHAT_EVENTS, WALLET_INPUTS, ACCOUNT_COMMANDS):
    metrics.MOVED.labels(_topic.name)


class Moves:
    """Judges records of one partition of `topic`, which has `partitions` of them, by their workspace."""

    def __init__(self, topic: Topic, partition: int, partitions: int) -> None:
        assert 0 <= partition < partitions
        self._topic = topic
        self._partition = partition
        self._partitions = partitions

    def is_misplaced(self, workspace_id: str) -> bool:
        """Whether records of this workspace belong to another partition."""
        return home_of(workspace_id, self._partitions) != self._partition

    def refused(self, record: Fetched, workspace_id: str) -> Rejected | None:
        """Return the refusal of a misplaced record that was moved before; None if it has not been moved yet.

        A record moves at most once for each number of partitions, so records never circle. One that was moved among
        fewer partitions, and not read before there were more, moves again.
        """
        move = move_of(record.headers, self._topic.name)
        if move is None or move.among not in (0, self._partitions):
            return None
        home = home_of(workspace_id, self._partitions)
        return Rejected(
            WRONG_PARTITION,
            f"headers: the record was moved here from {move.location}, and its workspace belongs to partition {home}",
        )

    def arrived_ms(self, record: Fetched) -> int:
        """Return when a record arrived at Kafka: where it lay first, if it was moved, in milliseconds since 1970.

        The earlier of the two times counts, so a header that a client outside the product has written lets nothing in.
        """
        move = move_of(record.headers, self._topic.name) if record.headers else None
        return record.timestamp if move is None else min(record.timestamp, move.received_ms)

    def moved(self, record: Fetched, workspace_id: str) -> Record:
        """Return the record as it is written to its workspace's partition."""
        return moved(self._topic, self._partition, record, workspace_id, self._partitions)


def moved(topic: Topic, partition: int, record: Fetched, workspace_id: str, partitions: int) -> Record:
    """Return the record that lies at `partition` of `topic` as it is written under the key of its workspace.

    `partitions` is how many the topic has that it moves to.
    """
    before = move_of(record.headers, topic.name) if record.headers else None
    received_ms = record.timestamp if before is None else min(record.timestamp, before.received_ms)
    move = Move(topic.name, partition, record.offset, max(0, received_ms), partitions)
    key = workspace_id.encode()
    room_bytes = MAX_RECORD_BYTES - BATCH_BYTES - len(key) - len(record.value or b"")
    return Record(key, record.value, move.headers(record.headers, room_bytes))


def moves(source: Topic, target: Topic, records: list[Record]) -> Output:
    """Count the moved records of `source`, and return them as an output to `target`."""
    if records:
        metrics.MOVED.labels(source.name).inc(len(records))
    return Output(target, records)
