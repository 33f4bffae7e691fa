"""The quarantine of one partition: which records are left out, and how carefully the others are processed.

A record must not stop a partition. Where owners have ended three times at one record, the record is left out: the fold
gets it through `leave_out`, which makes a dead letter of it. The decision is a record of the state topic that is never
removed, so every later owner leaves out the same record.

An owner that cannot know which record it was (its predecessors were aborted) processes carefully: it writes an attempt
before each slice of records, makes a checkpoint after it, and lets the slices grow (docs/adr/0021).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from msgspec.structs import replace

from meter import metrics
from meter.kafka.fetched import Fetched
from meter.kafka.records import Delivery, Record
from meter.stage.careful import Careful, Suspects
from meter.stage.evidence import (
    ATTEMPT,
    CAREFUL_STARTS,
    LEFT_OUT,
    OWNER,
    STARTS,
    Attempt,
    Evidence,
    LeftOut,
    condemned,
    encode,
)
from meter.stage.fold import Fold
from meter.stage.mark import Version
from meter.stage.outputs import send
from meter.stage.ports import Topics
from meter.stage.refusals import RefusalError
from schemas.formats import NewerFormatError
from schemas.headers import Headers

logger = logging.getLogger(__name__)

REASON_LENGTH: Final = 500
GIVE_UP_S: Final = 5.0
"""How long a process that fails waits for the broker to take the reason."""

_NUMBER_BYTES: Final = 8

WriteOne = Callable[[Record], Awaitable[int]]
"""Writes a record to the partition's state topic, and returns its offset once it is acknowledged."""


class Slice(NamedTuple):
    """Records that are processed together; or one record that is left out, with the reason."""

    records: Sequence[Fetched]
    last_offset: int
    reason: str | None = None

    @property
    def first_offset(self) -> int:
        """The offset of the first record."""
        return self.records[0].offset


class Quarantine:
    """The quarantine of one partition, as one owner of it knows it."""

    def __init__(self, write_one: WriteOne, topic: str, owner: bytes, evidence: Evidence, newest: Version) -> None:
        self._write_one = write_one
        self._topic = topic
        self._headers: Headers = [(OWNER, owner)]
        self._key = ATTEMPT + owner
        self._evidence = evidence
        self._newest = newest
        self._present: Attempt | None = None
        self._left_out_total = metrics.LEFT_OUT.labels(topic)
        self.left_out = evidence.left_out(newest.generation)
        """Of each record that is left out, the reason by its offset."""
        self.careful: Careful | None = None

    async def begin(self) -> None:
        """Judge what earlier owners have left behind, and write down that this owner begins. Called once."""
        attempts = self._evidence.unfinished(self._newest)
        for offset, reason in condemned(attempts).items():
            if offset not in self.left_out:
                await self.leave_out(offset, reason)
        open_attempts = [each for each in attempts if each.first != each.last or each.first not in self.left_out]
        starts = self._evidence.next_start(self._newest)
        if open_attempts or starts.count >= CAREFUL_STARTS:
            self.careful = Careful([Suspects(each.first, each.last) for each in open_attempts])
            # Not a warning: starts that bring no record, as of an idle partition, count alike.
            logger.info("%s: start %d from one checkpoint, going on carefully", self._topic, starts.count)
        await self._write_one(Record(STARTS, encode(starts), self._headers))

    async def leave_out(self, offset: int, reason: str) -> None:
        """Decide that the record at `offset` is left out, for ever. Returns once that is acknowledged."""
        numbers = (self._newest.generation, offset)
        key = LEFT_OUT + b"".join(number.to_bytes(_NUMBER_BYTES, "big") for number in numbers)
        await self._write_one(Record(key, encode(LeftOut(*numbers, reason)), self._headers))
        self.left_out[offset] = reason
        self._left_out_total.inc()
        logger.critical("%s: the record at offset %d is left out: %s", self._topic, offset, reason)

    def is_needed(self, next_offset: int) -> bool:
        """Whether a batch that begins at `next_offset` has to be processed in slices."""
        return self.careful is not None or any(offset >= next_offset for offset in self.left_out)

    def slices(self, records: Sequence[Fetched], last_offset: int) -> Iterator[Slice]:
        """Yield the records in slices. The size of each is decided when it is asked for."""
        whole, at = list(records), 0
        while at < len(whole):
            first = whole[at].offset
            if first in self.left_out:
                end, reason = at + 1, self.left_out[first]
            else:
                end, reason = self._end_of_slice(whole, at), None
            yield Slice(whole[at:end], last_offset if end == len(whole) else whole[end - 1].offset, reason)
            at = end

    def _end_of_slice(self, records: Sequence[Fetched], at: int) -> int:
        last = self.careful.last_of_slice(records[at].offset) if self.careful else records[-1].offset
        end = at + 1
        while end < len(records) and records[end].offset <= last and records[end].offset not in self.left_out:
            end += 1
        return end

    async def process(self, fold: Fold, part: Slice, topics: Topics) -> list[Delivery]:
        """Have the fold process a slice, and send its outputs. Where owners have ended, attempts are written first."""
        if part.reason is not None:
            return await send(topics, fold.leave_out(part.records[0], part.reason))
        if self.careful is None:
            return await send(topics, fold.process(part.records))
        attempt = Attempt(self._newest.generation, part.first_offset, part.last_offset)
        await self._attempt(attempt)
        outputs = list(fold.process(part.records))
        await self._attempt(replace(attempt, is_saving=True))
        return await send(topics, outputs)

    async def _attempt(self, attempt: Attempt) -> None:
        self._present = attempt
        await self._write_one(Record(self._key, encode(attempt), self._headers))

    async def failed(self, first: int, last: int, error: BaseException) -> None:
        """Write that this owner ends with an exception at the offsets from `first` to `last`. Never raises.

        An exception that is not the record's fault, such as a broker that is away, takes the attempt back.
        """
        if not _is_of_the_record(error):
            await self.withdraw()
            return
        if self._present is not None:
            first, last = self._present.first, self._present.last
        reason = f"{type(error).__name__}: {error}"[:REASON_LENGTH]
        await self._write_last(encode(Attempt(self._newest.generation, first, last, reason=reason)))

    async def withdraw(self) -> None:
        """Take the last attempt back, if there is one: this owner does not end because of it. Never raises."""
        if self._present is not None:
            self._present = None
            await self._write_last(None)

    async def _write_last(self, value: bytes | None) -> None:
        with suppress(Exception):
            await asyncio.wait_for(self._write_one(Record(self._key, value, self._headers)), GIVE_UP_S)

    def read_until(self, end: int) -> None:
        """Note that the log has records up to `end` - 1. Called with each batch; the first call counts."""
        if self.careful is not None:
            self.careful.read_until(end)

    def succeed(self, next_offset: int) -> None:
        """Note that the slice of the last attempt is in a checkpoint. Careful processing may end with it."""
        self._present = None
        if self.careful is not None:
            self.careful.succeed()
            if self.careful.is_over(next_offset):
                self.careful = None

    def removals(self, offset: int) -> list[bytes]:
        """Return the record keys of the attempts that a mark as of input `offset` makes needless."""
        attempts = self._evidence.attempts
        if self._present is not None:
            attempts[self._key] = self._present
        old = [
            key for key, each in attempts.items() if (each.generation, each.last) <= (self._newest.generation, offset)
        ]
        for key in old:
            del attempts[key]
        return old


def _is_of_the_record(error: BaseException) -> bool:
    """Whether an exception can come from the record, and not from the world: a broker, a disk, an operator's act."""
    if isinstance(error, (MessageSizeTooLargeError, RecordListTooLargeError)):
        return True
    return isinstance(error, Exception) and not isinstance(error, (KafkaError, OSError, RefusalError, NewerFormatError))
