"""Dead letters as operators see them: what was refused, and what has become of it since.

A letter is known by where the refused record lay. The topic may hold it twice after a crash; here it is there once.
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
"""begun: somebody claimed it and left no receipt; refused again: what was put back is a dead letter of its own."""


class LetterError(Exception):
    """A dead letter cannot be shown or put back; the message says why and what to do."""


class Letter(msgspec.Struct, frozen=True):
    """A dead letter without its bytes, of which there may be many. `size_bytes` is None where there was no value.

    `location` is its own location on dead-letters: partition and offset.
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


class Replay(msgspec.Struct):
    """What somebody put back for a letter, and when. `location` and `replayed_ms` come with the receipt."""

    claim: Claim
    claimed_ms: int
    location: str = ""
    replayed_ms: int = 0


class Letters(msgspec.Struct, frozen=True):
    """All letters and all replays, by the letter's id."""

    by_id: dict[str, Letter]
    replays: dict[str, Replay]

    def get(self, letter_id: str) -> Letter:
        """Raises LetterError if there is no such letter."""
        letter = self.by_id.get(letter_id)
        if letter is None:
            raise LetterError(
                f"no dead letter {letter_id}: see `python -m meter dead-letters list` for those there are"
            )
        return letter

    def status(self, letter_id: str) -> Status:
        """What has become of the letter."""
        replay = self.replays.get(letter_id)
        if replay is None:
            return "waiting"
        if not replay.location:
            return "begun"
        return "refused again" if replay.location in self.by_id else "replayed"

    def last_of(self, letter: Letter) -> Letter:
        """The letter itself or, where what was put back for it was refused in turn, the letter of that."""
        while self.status(letter.letter_id) == "refused again":
            letter = self.by_id[self.replays[letter.letter_id].location]
        return letter

    def is_copy(self, letter: Letter) -> bool:
        """Whether it is a second copy of what was put back for another letter, left by a replay that broke off."""
        replay = self.replays.get(letter.replay_of)
        return replay is not None and replay.location != letter.letter_id


async def load(bootstrap: str) -> Letters:
    """Everything on dead-letters and replays, as of now."""
    by_id: dict[str, Letter] = {}
    async for record in reader.records(bootstrap, DEAD_LETTERS):
        letter = _letter(record)
        by_id[letter.letter_id] = letter
    return Letters(by_id, await load_replays(bootstrap))


async def load_replays(bootstrap: str) -> dict[str, Replay]:
    """Of each letter the claim that counts: the first in the log."""
    return fold([record async for record in reader.records(bootstrap, REPLAYS)])


def fold(records: Iterable[ConsumerRecord]) -> dict[str, Replay]:
    """The replays that the records of `replays` come to, given each partition in its order."""
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
    """The refused bytes of each letter, by its id."""
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
    """The dead letter of a record. One that names no source is known by its own location, as in ClickHouse."""
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
    )
