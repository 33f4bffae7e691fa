"""The state of a partition as a compacted topic holds it: checkpoints that are there whole or not at all.

A checkpoint is many records and then one mark. Restoring takes, of every key, the newest record that is not newer than
the newest mark: the state as of exactly that input offset, however far the next checkpoint had come before a crash.
So that compaction cannot take the older record of a key away before the mark is written, a key's records alternate
between two slots, and a write always goes to the one that the last mark does not need (docs/adr/0005).
"""

import secrets
from collections.abc import Iterable
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from meter.log import Log, Record
from schemas.topics import MAX_RECORD_BYTES, Topic

_MARK: Final = b"mark"
_FENCE: Final = b"fence"
_OFFSET: Final = "offset"
_SLOTS: Final = (b"\x00", b"\x01")


class Restored(NamedTuple):
    """`offset` is the last input offset that the state includes, -1 without a checkpoint; `mark` is the mark itself."""

    offset: int
    mark: bytes | None
    records: dict[bytes, bytes]


class _Found(NamedTuple):
    """One record of a key. An empty value says that the key ended, null that the record may go."""

    offset: int
    slot: int
    value: bytes | None


class Checkpoints:
    """Writes and restores the checkpoints of one partition of a state topic."""

    def __init__(self, log: Log, bootstrap: str, topic: Topic, partition: int) -> None:
        self._log = log
        self._bootstrap = bootstrap
        self._topic = topic.name
        self._partition = partition
        self._second_slot: set[bytes] = set()
        """Keys whose newest marked record lies in the second slot."""

    async def write(self, offset: int, mark: bytes, changes: Iterable[tuple[bytes, bytes | None]]) -> int:
        """Write a checkpoint of the state as of input `offset`; None for a key that ended. Returns how many records."""
        headers = [(_OFFSET, str(offset).encode())]
        records: list[Record] = []
        ended: dict[bytes, int] = {}
        for key, value in changes:
            slot = self._other_slot(key)
            # An empty value says "ended" until the mark is there; only then may the records really go.
            records.append(Record(_SLOTS[slot] + key, value if value is not None else b"", headers))
            if value is None:
                ended[key] = slot
        await self._write(records)
        await self._write([Record(_MARK, mark, headers)])
        await self._remove(ended, offset)
        self._second_slot.difference_update(ended)
        return len(records) + 1

    def _other_slot(self, key: bytes) -> int:
        if key in self._second_slot:
            self._second_slot.discard(key)
            return 0
        self._second_slot.add(key)
        return 1

    async def _write(self, records: list[Record]) -> None:
        if records:
            await self._log.write(self._topic, self._partition, records)

    async def restore(self) -> Restored:
        """The state as of the newest complete checkpoint, and of none newer."""
        marks: dict[int, bytes] = {}
        found: dict[bytes, list[_Found]] = {}
        for record in await self._read_all():
            offset = int(dict(record.headers)[_OFFSET])
            if record.key == _MARK:
                marks[offset] = record.value
            elif record.key != _FENCE:
                slot, key = _SLOTS.index(record.key[:1]), record.key[1:]
                found.setdefault(key, []).append(_Found(offset, slot, record.value))
        last = max(marks, default=-1)
        records = await self._newest(found, last)
        return Restored(last, marks.get(last), records)

    async def _newest(self, found: dict[bytes, list[_Found]], last: int) -> dict[bytes, bytes]:
        """Of every key that has not ended, the newest value as of the mark `last`."""
        records: dict[bytes, bytes] = {}
        unfinished: dict[bytes, int] = {}
        self._second_slot.clear()
        for key, versions in found.items():
            complete = [version for version in versions if version.offset <= last]
            if not complete:
                continue
            newest = max(version.offset for version in complete)
            latest = [version for version in complete if version.offset == newest]
            standing = next((version for version in latest if version.value), None)
            if standing is not None and standing.value is not None:
                records[key] = standing.value
                if standing.slot:
                    self._second_slot.add(key)
            elif len(complete) == len(versions) and _leftovers(versions):
                # A crash came between the mark and the removal.
                unfinished[key] = next((version.slot for version in latest if version.value is not None), 0)
        await self._remove(unfinished, last)
        return records

    async def _remove(self, ended: dict[bytes, int], offset: int) -> None:
        """Let the records of ended keys go: the old values first, the records that say so (in these slots) last."""
        headers = [(_OFFSET, str(offset).encode())]
        await self._write([Record(_SLOTS[1 - slot] + key, None, headers) for key, slot in ended.items()])
        await self._write([Record(_SLOTS[slot] + key, None, headers) for key, slot in ended.items()])

    async def _read_all(self) -> list[ConsumerRecord]:
        """Everything in the partition up to a fence written now: no broker has to be asked where the end is."""
        nonce = secrets.token_bytes(16)
        await self._write([Record(_FENCE, nonce, [(_OFFSET, b"-1")])])
        tp = TopicPartition(self._topic, self._partition)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            enable_auto_commit=False,
            fetch_max_wait_ms=50,
            max_partition_fetch_bytes=MAX_RECORD_BYTES,
        )
        await consumer.start()
        try:
            consumer.assign([tp])
            await consumer.seek_to_beginning(tp)
            records: list[ConsumerRecord] = []
            while not records or (records[-1].key, records[-1].value) != (_FENCE, nonce):
                fetched = await consumer.getmany(tp, timeout_ms=1_000)
                records += self._up_to_fence(fetched.get(tp, []), nonce)
            return records
        finally:
            await consumer.stop()

    @staticmethod
    def _up_to_fence(records: list[ConsumerRecord], nonce: bytes) -> list[ConsumerRecord]:
        for index, record in enumerate(records):
            if record.key == _FENCE and record.value == nonce:
                return records[: index + 1]
        return records


def _leftovers(versions: list[_Found]) -> bool:
    """Whether a slot of the key still holds a record."""
    in_slots = {version.slot: version.value for version in versions}
    return any(value is not None for value in in_slots.values())
