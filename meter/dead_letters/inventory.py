"""All dead letters and their replays, as read from the topics dead-letters and replays.

A letter's id is the location of the refused record: TOPIC/PARTITION/OFFSET. After a crash the topic may hold two
records of one letter; they are one letter here.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final, Literal

import msgspec
from aiokafka import ConsumerRecord

from meter.kafka import reader
from schemas.dead_letters import DeadLetter, from_record
from schemas.replays import Claim, Receipt
from schemas.replays import from_record as replay_from_record
from schemas.topics import DEAD_LETTERS, REPLAYS

KEY_BYTES: Final = 1024
"""How much of a refused record's key is kept in memory and shown."""

Status = Literal["waiting", "begun", "replayed", "refused again"]
"""waiting: no claim; begun: a claim without a receipt; replayed: a claim and a receipt; refused again: the record that
was put back is a dead letter itself."""


class LetterError(Exception):
    """A dead letter cannot be shown or put back; the message says why and what to do."""


class Letter(msgspec.Struct, frozen=True):
    """A dead letter without the refused bytes, because all letters together may not fit in memory.

    `topic`, `partition`, `offset` and `key` are those of the refused record; of the key at most KEY_BYTES.
    `size_bytes` is the length of its value, None if it had none. `refused_ms` is the dead letter's Kafka timestamp.
    `replay_of` is the id of the letter that the refused record was put back for, or empty. `location` is where the
    letter itself is on dead-letters: partition and offset. `moved_from` is where the refused record lay before it was
    moved, or empty. `shortened` names the parts of the record that the letter could not hold whole, and is empty if it
    holds all. `nonce` and `digest` are for `proven`: the word of the claim that the record names, and the SHA-256 of
    its value if it says so.
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
    header_count: int = 0
    shortened: str = ""
    nonce: str = ""
    digest: bytes = b""


class Replay(msgspec.Struct):
    """One replay: its claim and, once it has a receipt, where the record was written and when.

    Without a receipt `location` is empty and `replayed_ms` is 0; with one the claim's bytes are not kept, only their
    SHA-256, `digest`. Both times are Kafka timestamps of the topic replays.
    """

    claim: Claim
    claimed_ms: int
    location: str = ""
    replayed_ms: int = 0
    digest: bytes = b""


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
    async for record in reader.records(bootstrap, DEAD_LETTERS):
        letter = _letter(record)
        by_id[letter.letter_id] = letter
    return proven(by_id, await load_replays(bootstrap))


def proven(by_id: dict[str, Letter], replays: dict[str, Replay]) -> Letters:
    """Drop each `replay_of` that another client wrote: only what was claimed for a letter can be a replay of it."""
    found: dict[str, Letter] = {}
    moved: dict[str, str] = {}
    for letter_id, letter in by_id.items():
        replay = replays.get(letter.replay_of)
        is_proven = replay is not None and (replay.claim.nonce, replay.digest) == (letter.nonce, letter.digest)
        found[letter_id] = letter if is_proven else msgspec.structs.replace(letter, replay_of="")
        if is_proven and letter.moved_from:
            moved.setdefault(letter.moved_from, letter_id)
    return Letters(found, replays, moved)


async def load_replays(bootstrap: str) -> dict[str, Replay]:
    """Read replays to its present end, and return by letter id the replays that count (see `fold`)."""
    return fold([record async for record in reader.records(bootstrap, REPLAYS)])


def fold(records: Iterable[ConsumerRecord]) -> dict[str, Replay]:
    """Fold records of the topic replays into the replays by letter id. Records of a partition must be in its order.

    Of each letter the first claim counts, and the first receipt for this claim. All later ones change nothing.
    """
    replays: dict[str, Replay] = {}
    for record in records:
        match replay_from_record(record.value, record.headers):
            case Claim() as claim:
                digest = sha256(claim.value).digest()
                replays.setdefault(claim.letter_id, Replay(claim, record.timestamp, digest=digest))
            case Receipt() as receipt:
                replay = replays.get(receipt.letter_id)
                if replay is not None and replay.claim.nonce == receipt.nonce and not replay.location:
                    replay.location, replay.replayed_ms = receipt.location, record.timestamp
                    replay.claim = replay.claim._replace(value=b"")
    return replays


def read(record: ConsumerRecord) -> DeadLetter:
    """Decode a record of dead-letters. If it names no source, its own location is its source, as in ClickHouse."""
    try:
        letter = from_record(record.key, record.value, record.headers)
    except ValueError:  # A header that must be a number is none.
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
        key=None if found.key is None else found.key[:KEY_BYTES],
        size_bytes=found.value_bytes,
        refused_ms=max(0, record.timestamp),
        replay_of=found.replay_of,
        location=(record.partition, record.offset),
        moved_from=found.moved_from,
        header_count=found.whole.header_count if found.whole else len(found.source_headers),
        shortened=found.whole.parts if found.whole else "",
        nonce=found.replay_nonce,
        digest=sha256(found.value or b"").digest() if found.replay_nonce else b"",
    )
