"""The state of a partition as a compacted topic holds it: checkpoints that are there whole or not at all.

A checkpoint is many records and then one mark. Restoring takes, of every key, the newest record that is not newer than
the newest mark: the state as of exactly that input offset, however far the next checkpoint had come before a crash.

Compaction keeps the last record of a Kafka key, so a record that may still be needed must never be overwritten. Every
owner of the partition writes to places of its own, which a superseded one cannot reach, and of a key it has two, the
slots: a write always goes to the one that its last mark does not need (docs/adr/0005).
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, NamedTuple

from aiokafka import ConsumerRecord

from meter.log import Record
from meter.ports import Topics
from schemas.topics import Topic

_FENCE: Final = b"f"
_MARK: Final = b"m"
_STATE: Final = b"s"
_OWNER_BYTES: Final = 8
_OFFSET: Final = "offset"
_DAY_MS: Final = 86_400_000


class SupersededError(Exception):
    """The partition is another worker's by now; nothing more may be written."""


class Restored(NamedTuple):
    """`offset` is the last input offset that the state includes, -1 without a checkpoint; `mark` is the mark itself."""

    offset: int
    mark: bytes | None
    records: dict[bytes, bytes]


class _Version(NamedTuple):
    """One record of a key, at the Kafka key `place`. An empty value says that the key ended, null that it may go."""

    offset: int
    place: bytes
    value: bytes | None


class Checkpoints:
    """Writes and restores the checkpoints of one partition of a state topic. `restore` makes this worker its owner."""

    def __init__(self, topics: Topics, topic: Topic, partition: int) -> None:
        self._topics = topics
        self._topic = topic.name
        self._partition = partition
        self._owner = b""
        self._second_slot: set[bytes] = set()
        """Keys whose newest record of this owner lies in the second slot."""
        self._inherited: dict[bytes, list[_Version]] = {}
        """Of each key the records of earlier owners that are still there."""
        self._earlier_marks: list[_Version] = []

    async def write(
        self,
        offset: int,
        mark: bytes,
        changes: Iterable[tuple[bytes, bytes | None]],
        may_go_on: Callable[[], Awaitable[bool]],
    ) -> int:
        """Write a checkpoint of the state as of input `offset`; None for a key that ended. Returns how many records.

        Raises SupersededError if, with all but the mark written, `may_go_on` says no: the checkpoint then does not
        count, and these checkpoints are not to be used any more.
        """
        assert self._owner, "restore() comes first"
        headers = [(_OFFSET, str(offset).encode())]
        records: list[Record] = []
        ended: list[tuple[bytes, int]] = []
        inherited: list[bytes] = []
        for key, value in changes:
            slot = self._other_slot(key)
            # An empty value says "ended" until the mark is there; only then may the records really go.
            records.append(Record(self._place(key, slot), value if value is not None else b"", headers))
            if key in self._inherited:
                inherited.append(key)
            if value is None:
                ended.append((key, slot))
        await self._write(records)
        if not await may_go_on():
            raise SupersededError(f"{self._topic}/{self._partition}")
        await self._write([Record(_MARK + self._owner, mark, headers)])
        await self._clear_up(offset, inherited, ended)
        return len(records) + 1

    def _other_slot(self, key: bytes) -> int:
        if key in self._second_slot:
            self._second_slot.discard(key)
            return 0
        self._second_slot.add(key)
        return 1

    def _place(self, key: bytes, slot: int) -> bytes:
        return b"".join((_STATE, self._owner, bytes((slot,)), key))

    async def _clear_up(self, offset: int, inherited: list[bytes], ended: list[tuple[bytes, int]]) -> None:
        """Remove what the mark at `offset` has made superfluous: old values first, the records that say "ended" last.

        What an earlier owner wrote of a later offset stays: should its mark come through yet, it will be needed.
        """
        places: list[bytes] = []
        for key in inherited:
            versions = self._inherited.pop(key)
            places += [version.place for version in versions if version.offset <= offset]
            if later := [version for version in versions if version.offset > offset]:
                self._inherited[key] = later
        places += [mark.place for mark in self._earlier_marks if mark.offset <= offset]
        self._earlier_marks = [mark for mark in self._earlier_marks if mark.offset > offset]
        places += [self._place(key, 1 - slot) for key, slot in ended]
        await self._remove(places, offset)
        await self._remove([self._place(key, slot) for key, slot in ended], offset)
        self._second_slot.difference_update(key for key, _ in ended)

    async def _remove(self, places: list[bytes], offset: int) -> None:
        await self._write([Record(place, None, [(_OFFSET, str(offset).encode())]) for place in places])

    async def _write(self, records: list[Record]) -> None:
        if records:
            await self._topics.write(self._topic, self._partition, records)

    async def restore(self) -> Restored:
        """The state as of the newest complete checkpoint, and of none newer."""
        fence = await self._topics.write_one(self._topic, self._partition, Record(_FENCE, b"", []))
        # Where it lies makes an owner's name that no other has.
        self._owner = fence.to_bytes(_OWNER_BYTES, "big")
        marks: dict[bytes, _Version] = {}
        found: dict[bytes, dict[bytes, _Version]] = {}
        async for records in self._topics.read_up_to(self._topic, self._partition, fence):
            for record in records:
                _take_in(record, marks, found)
        newest = max(marks.values(), key=lambda mark: mark.offset, default=_Version(-1, b"", None))
        self._second_slot.clear()
        self._inherited = {}
        self._earlier_marks = list(marks.values())
        standing = await self._standing(found, newest.offset)
        return Restored(newest.offset, newest.value, standing)

    async def _standing(self, found: dict[bytes, dict[bytes, _Version]], last: int) -> dict[bytes, bytes]:
        """Of every key that has not ended, the newest value as of the mark `last`."""
        standing: dict[bytes, bytes] = {}
        old: list[bytes] = []
        endings: list[bytes] = []
        for key, by_place in found.items():
            versions = by_place.values()
            complete = [version for version in versions if version.offset <= last]
            newest = max((version.offset for version in complete), default=-1)
            value = next((version.value for version in complete if version.offset == newest and version.value), None)
            if value is not None:
                standing[key] = value
            else:
                # Whatever is left of an ended key: a crash came between the mark and the removal.
                old += [version.place for version in complete if version.value]
                endings += [version.place for version in complete if version.value == b""]
            there = [version for version in versions if version.value is not None]
            if value is None:
                there = [version for version in there if version.offset > last]
            if there:
                self._inherited[key] = there
        await self._remove(old, last)
        await self._remove(endings, last)
        return standing


def _take_in(record: ConsumerRecord, marks: dict[bytes, _Version], found: dict[bytes, dict[bytes, _Version]]) -> None:
    """Sort one record where it belongs; of one place the later replaces the earlier, as compaction has it."""
    place: bytes = record.key
    if place == _FENCE:
        return
    version = _Version(int(dict(record.headers)[_OFFSET]), place, record.value)
    if place[:1] == _STATE:
        found.setdefault(place[_OWNER_BYTES + 2 :], {})[place] = version
    elif record.value is not None:
        marks[place] = version
    else:
        marks.pop(place, None)
