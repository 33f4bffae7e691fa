"""All dead letters and their replays, as read from the topics dead-letters and replays.

A letter's id is the location of the refused record: TOPIC/PARTITION/OFFSET. After a crash the topic may hold two
records of one letter; they are one letter here.
"""

from collections.abc import Iterable
from contextlib import aclosing
from typing import Literal

import msgspec
from aiokafka import ConsumerRecord

from meter.kafka import reader
from schemas.dead_letters import DeadLetter, from_record
from schemas.replays import Claim, Receipt
from schemas.replays import from_record as replay_from_record
from schemas.topics import DEAD_LETTERS, REPLAYS

Status = Literal["waiting", "begun", "replayed", "refused again"]
"""waiting: no claim; begun: a claim without a receipt; replayed: a claim and a receipt; refused again: the record that
was put back is a dead letter itself."""


class LetterError(Exception):
    """A dead letter cannot be shown or put back; the message says why and what to do."""


class Letter(msgspec.Struct, frozen=True):
    """A dead letter without the refused bytes, because all letters together may not fit in memory.

    `topic`, `partition`, `offset` and `key` are those of the refused record. `size_bytes` is the length of its value,
    None if it had none. `refused_ms` is the dead letter's Kafka timestamp. `replay_of` is the id of the letter that
    the refused record was put back for, or empty. `location` is where the letter itself is on dead-letters: partition
    and offset. `moved_from` is where the refused record lay before it was moved, or empty.
    """

    letter_id: str
    code: str
    reason: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    size_bytes: int | None
    refused_ms: int
    replay_of: str
    location: tuple[int, int]
    moved_from: str = ""


class Replay(msgspec.Struct):
    """One replay: its claim and, once it has a receipt, where the record was written and when.

    Without a receipt `location` is empty and `replayed_ms` is 0. Both times are Kafka timestamps of the topic replays.
    """

    claim: Claim
    claimed_ms: int
    location: str = ""
    replayed_ms: int = 0


class Letters(msgspec.Struct, frozen=True):
    """All letters, and all replays by the id of the letter that they put back.

    `moved`: where a refused record lay before it was moved -> the id of its letter; of two such letters, which a crash
    can leave, the first.
    """

    by_id: dict[str, Letter]
    replays: dict[str, Replay]
    moved: dict[str, str] = {}

    def get(self, letter_id: str) -> Letter:
        """Return a letter. Raises LetterError if there is no letter with this id."""
        letter = self.by_id.get(letter_id)
        if letter is None:
            raise LetterError(
                f"no dead letter {letter_id}: see `python -m meter dead-letters list` for those there are"
            )
        return letter

    def status(self, letter_id: str) -> Status:
        """Return how far the letter's replay has come."""
        replay = self.replays.get(letter_id)
        if replay is None:
            return "waiting"
        if not replay.location:
            return "begun"
        return "refused again" if self._id_at(replay.location) in self.by_id else "replayed"

    def last_of(self, letter: Letter) -> Letter:
        """Follow replays that were refused again, and return the last letter of this chain, which may be `letter`."""
        while self.status(letter.letter_id) == "refused again":
            letter = self.by_id[self._id_at(self.replays[letter.letter_id].location)]
        return letter

    def _id_at(self, location: str) -> str:
        """Return the id that the letter of a record has that was written to this location, and perhaps moved on."""
        return self.moved.get(location, location)

    def is_copy(self, letter: Letter) -> bool:
        """Tell whether the letter's record is a second copy of a replay, which a crash can leave.

        The replay's receipt names the other copy.
        """
        replay = self.replays.get(letter.replay_of)
        return replay is not None and self._id_at(replay.location) != letter.letter_id


async def load(bootstrap: str) -> Letters:
    """Read dead-letters and replays to their present ends."""
    by_id: dict[str, Letter] = {}
    moved: dict[str, str] = {}
    async for record in reader.records(bootstrap, DEAD_LETTERS):
        letter = _letter(record)
        by_id[letter.letter_id] = letter
        if letter.moved_from:
            moved.setdefault(letter.moved_from, letter.letter_id)
    return Letters(by_id, await load_replays(bootstrap), moved)


async def load_replays(bootstrap: str) -> dict[str, Replay]:
    """Read replays to its present end, and return by letter id the replays that count (see `fold`)."""
    return fold([record async for record in reader.records(bootstrap, REPLAYS)])


def fold(records: Iterable[ConsumerRecord]) -> dict[str, Replay]:
    """Fold records of the topic replays into the replays by letter id. Records of a partition must be in its order.

    Of each letter the first claim counts, and the first receipt for this claim. All later ones change nothing.
    """
    replays: dict[str, Replay] = {}
    for record in records:
        match replay_from_record(record.value, list(record.headers)):
            case Claim() as claim:
                replays.setdefault(claim.letter_id, Replay(claim, record.timestamp))
            case Receipt() as receipt:
                replay = replays.get(receipt.letter_id)
                if replay is not None and replay.claim.nonce == receipt.nonce and not replay.location:
                    replay.location, replay.replayed_ms = receipt.location, record.timestamp
    return replays


async def payloads(bootstrap: str, letters: Iterable[Letter]) -> dict[str, bytes | None]:
    """Read the refused bytes of some letters, by letter id; None for a record that had no value.

    Reads dead-letters from the first of these letters on, in each partition, and stops when all are found.
    """
    wanted = {letter.location: letter.letter_id for letter in letters}
    starts: dict[int, int] = {}
    for partition, offset in wanted:
        starts[partition] = min(offset, starts.get(partition, offset))
    found: dict[str, bytes | None] = {}
    async with aclosing(reader.records(bootstrap, DEAD_LETTERS, starts)) as records:
        async for record in records:
            letter_id = wanted.get((record.partition, record.offset))
            if letter_id is not None:
                found[letter_id] = read(record).value
                if len(found) == len(wanted):
                    break
    return found


def read(record: ConsumerRecord) -> DeadLetter:
    """Decode a record of dead-letters. If it names no source, its own location is its source, as in ClickHouse."""
    headers = list(record.headers)
    try:
        letter = from_record(record.key, record.value, headers)
    except ValueError:  # A location that is not a number.
        letter = from_record(record.key, record.value, [])
    if letter.source_partition >= 0 and letter.source_offset >= 0:
        return letter
    return msgspec.structs.replace(
        letter, source_topic=record.topic, source_partition=record.partition, source_offset=record.offset
    )


def _letter(record: ConsumerRecord) -> Letter:
    found = read(record)
    return Letter(
        letter_id=found.letter_id,
        code=found.code,
        reason=found.reason,
        topic=found.source_topic,
        partition=found.source_partition,
        offset=found.source_offset,
        key=found.key,
        size_bytes=None if found.value is None else len(found.value),
        refused_ms=max(0, record.timestamp),
        replay_of=found.replay_of,
        location=(record.partition, record.offset),
        moved_from=found.moved_from,
    )
