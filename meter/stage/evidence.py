"""The records of a state topic that say at which input records workers ended (docs/adr/0021).

A process that the kernel aborts, or that has no memory left, says nothing when it ends. So what it was about to do is
written before it does it, and the next owner of the partition reads it.
"""

from collections import defaultdict
from typing import Final

import msgspec
from aiokafka import ConsumerRecord

from meter.stage.mark import Version

STARTS: Final = b"s"
ATTEMPT: Final = b"a"
LEFT_OUT: Final = b"q"

OWNER: Final = "owner"
"""The header with the name of the owner that wrote such a record."""

DEATHS: Final = 3
"""A record at which so many owners ended is left out."""

DEATHS_SAVING: Final = 8
"""The same if they ended after the record was processed, without an exception, while its results were being saved.

That takes several round trips to the broker, so a kill at a random moment meets it more often.
"""

CAREFUL_STARTS: Final = 3
"""The start from one mark at which a partition begins to process carefully, without knowing of which record."""


class Starts(msgspec.Struct, frozen=True, array_like=True):
    """How many owners have begun at the mark of this generation and offset. Each start overwrites the one before."""

    generation: int
    offset: int
    count: int


class Attempt(msgspec.Struct, frozen=True, array_like=True):
    """An owner is about to process the offsets from `first` to `last`, or has ended there.

    `is_saving`: the fold has processed them, and the results are being saved. `reason`: the exception, "" if there was
    none. An owner has one attempt, which it overwrites. So the one that is found is where the owner ended.
    """

    generation: int
    first: int
    last: int
    is_saving: bool = False
    reason: str = ""


class LeftOut(msgspec.Struct, frozen=True, array_like=True):
    """The record at `offset` is left out: its dead letter has this reason. Never removed within a generation."""

    generation: int
    offset: int
    reason: str


encode = msgspec.msgpack.Encoder().encode
_decode_starts = msgspec.msgpack.Decoder(Starts).decode
_decode_attempt = msgspec.msgpack.Decoder(Attempt).decode
_decode_left_out = msgspec.msgpack.Decoder(LeftOut).decode

_NO_STARTS: Final = Starts(-1, -1, 0)


class Evidence:
    """The starts, attempts and left-out records that one partition of a state topic holds."""

    def __init__(self) -> None:
        self.attempts: dict[bytes, Attempt] = {}
        """By record key. The keys ascend with the age of their owners, the oldest first."""
        self._starts = _NO_STARTS
        self._left_out: dict[bytes, LeftOut] = {}

    def add(self, record: ConsumerRecord) -> bool:
        """Add the next record of the log. Returns False if it is of another kind."""
        kind: bytes = record.key[:1]
        if kind == STARTS:
            self._starts = _decode_starts(record.value) if record.value else _NO_STARTS
        elif kind == ATTEMPT and record.value:
            self.attempts[record.key] = _decode_attempt(record.value)
        elif kind == ATTEMPT:
            self.attempts.pop(record.key, None)
        elif kind == LEFT_OUT and record.value:
            self._left_out[record.key] = _decode_left_out(record.value)
        else:
            return False
        return True

    def next_start(self, newest: Version) -> Starts:
        """Return the starts from the newest mark, the one that is beginning included."""
        known = self._starts if (self._starts.generation, self._starts.offset) == newest else _NO_STARTS
        return Starts(*newest, known.count + 1)

    def left_out(self, generation: int) -> dict[int, str]:
        """Return the reason of each record that was left out, by its offset."""
        return {each.offset: each.reason for each in self._left_out.values() if each.generation == generation}

    def record_keys(self) -> list[bytes]:
        """Return the keys of all these records."""
        return [STARTS, *self.attempts, *self._left_out]

    def unfinished(self, newest: Version) -> list[Attempt]:
        """Return the attempts that the newest mark does not include, the oldest owner's first."""
        attempts = [attempt for _, attempt in sorted(self.attempts.items())]
        return [each for each in attempts if each.generation == newest.generation and each.last > newest.offset]


def condemned(attempts: list[Attempt]) -> dict[int, str]:
    """Return the offsets at which enough owners ended, each with the reason for its dead letter.

    Only an attempt at a single offset names the record.
    """
    ends: defaultdict[int, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        if attempt.first == attempt.last:
            ends[attempt.first].append(attempt)
    return {offset: _reason(each) for offset, each in ends.items() if _are_enough(each)}


def _are_enough(attempts: list[Attempt]) -> bool:
    while_processing = [each for each in attempts if each.reason or not each.is_saving]
    return len(while_processing) >= DEATHS or len(attempts) >= DEATHS_SAVING


def _reason(attempts: list[Attempt]) -> str:
    said = next((each.reason for each in reversed(attempts) if each.reason), "the process ended without an exception")
    return f"value: {len(attempts)} workers ended while they processed this record: {said}"
