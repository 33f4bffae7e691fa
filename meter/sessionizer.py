"""The first stage: chat events in; metered conversations and dead letters out."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from aiokafka import ConsumerRecord

from meter import metrics
from meter.blocks import Entry, Loading, Sweep, pack
from meter.core.announce import Announcements
from meter.core.interactions import Interaction
from meter.core.policy import Policy
from meter.core.sessionize import (
    Conflict,
    ConversationTouched,
    Duplicate,
    OccurrenceCounted,
    Outcome,
    Rejected,
    Sessions,
    Ticked,
)
from meter.dead_letters import dead_letter, dead_letters
from meter.fold import Output
from meter.intake import read
from meter.log import Record
from schemas.dead_letters import DeadLetter
from schemas.events import decode_event, encode_tick
from schemas.instants import MINUTE_MS
from schemas.metered import OccurrenceMetered, SafePoint
from schemas.tallies import EventCounts
from schemas.topics import WALLET_INPUTS

SAFE_POINT_MS: Final = MINUTE_MS
SAFE_POINT_OFFSETS: Final = 100_000
"""Event time between two safe points; where it stands still, offsets."""


class Mark(msgspec.Struct, array_like=True):
    """What every checkpoint of a sessionizer holds: as of its offset, like all of it."""

    watermark_ms: int = 0
    counts: EventCounts = EventCounts()


_NEVER_MS: Final = -(2**62)

_encode_json = msgspec.json.Encoder().encode
_encode = msgspec.msgpack.Encoder().encode
_decode_mark = msgspec.msgpack.Decoder(Mark).decode
_decode_key = msgspec.msgpack.Decoder(tuple[str, str, str, str]).decode
_decode_interaction = msgspec.msgpack.Decoder(Interaction).decode


class Sessionizer:
    """The fold of one partition of chat-events."""

    def __init__(self, policy: Policy, partition: int) -> None:
        self._partition = partition
        self._told_ms, self._told_offset = _NEVER_MS, 0
        self._saved = Mark()
        self._events, self._outcomes = 0, Counter[str]()
        self._sessions = Sessions(policy)
        self._loading = Loading()
        self._sweep = Sweep(self._keys, self._value_of)

    def load(self, offset: int, block: bytes) -> None:
        """A part of what a checkpoint held."""
        self._loading.load(offset, block)

    def finish(self, mark: bytes | None, floor: int) -> None:
        """The state is what was loaded."""
        saved = self._saved = _decode_mark(mark) if mark else Mark()
        self._events, self._outcomes = saved.counts.events, _outcomes(saved.counts)
        self._sessions = Sessions(self._sessions.policy, saved.watermark_ms, saved.counts.closed_messages)
        loaded, self._loading = self._loading.finish(floor), Loading()
        self._sessions.restore({_decode_key(key): _decode_interaction(value) for key, value in loaded.items()})

    def take(self, records: list[ConsumerRecord]) -> Iterator[Output]:
        """Meter a batch. Dead letters first: nothing may be billed of a batch whose refusals could be lost."""
        announcements = Announcements(self._partition, self._sessions.policy.gap_ms)
        letters: list[DeadLetter] = []
        outcomes: Counter[str] = Counter()
        for record in records:
            outcome = self._step(record)
            outcomes[_NAMES[type(outcome)]] += 1
            match outcome:
                case ConversationTouched():
                    announcements.touched(outcome, record.offset, record.timestamp)
                case OccurrenceCounted():
                    announcements.occurred(outcome, record.offset, record.timestamp)
                case Rejected():
                    letters.append(dead_letter(record, outcome))
            # At this record and not at the batch's end: when a conversation closes must not depend on batches, or a
            # superseded worker could tell of it under an offset that no safe point covers yet.
            for key, conversation in self._sessions.advance():
                announcements.closed(key, conversation, record.offset, record.timestamp)
            if isinstance(outcome, Ticked) and outcome.final:
                self._told_ms = _NEVER_MS
                for key, conversation in self._sessions.close_all():
                    announcements.closed(key, conversation, record.offset, record.timestamp)
        self._events += len(records)
        self._outcomes.update(outcomes)
        self._observe(outcomes, records[-1].timestamp)
        yield dead_letters(letters)
        yield self._metered(announcements)

    def _step(self, record: ConsumerRecord) -> Outcome:
        event = read(record.value, decode_event)
        return event if isinstance(event, Rejected) else self._sessions.step(event, record.timestamp)

    def _metered(self, announcements: Announcements) -> Output:
        metered = announcements.take()
        for each in metered:
            kind = each.kind if isinstance(each, OccurrenceMetered) else each.state
            metrics.METERED.labels(kind).inc()
        return Output(WALLET_INPUTS, [Record(each.workspace_id.encode(), _encode_json(each)) for each in metered])

    def changed(self) -> Iterator[bytes]:
        """The interactions that changed or ended."""
        touched, self._sessions.touched = self._sessions.touched, set()
        return pack(self._entry(_encode(key)) for key in touched)

    def sweep(self, size_bytes: int) -> tuple[list[bytes], bool]:
        """The next interactions in turn."""
        return self._sweep.next(size_bytes)

    def _keys(self) -> Iterator[bytes]:
        return map(_encode, self._sessions.interactions)

    def _entry(self, key: bytes) -> Entry:
        return key, self._value_of(key)

    def _value_of(self, key: bytes) -> bytes | None:
        interaction = self._sessions.interactions.get(_decode_key(key))
        return None if interaction is None else _encode(interaction)

    def mark(self) -> bytes:
        """How far event time has come, and what has become of all records so far."""
        self._saved = Mark(self._sessions.watermark_ms, self._counts())
        return _encode(self._saved)

    def _counts(self) -> EventCounts:
        outcomes = self._outcomes
        return EventCounts(
            events=self._events,
            messages=outcomes["conversation"],
            closed_messages=self._sessions.closed_messages,
            occurrences=outcomes["occurrence"],
            duplicates=outcomes["duplicate"] + outcomes["conflict"],
            refused=outcomes["dead_letter"],
            ticks=outcomes["tick"],
        )

    def confirm(self, offset: int) -> Iterable[Output]:
        """Tell every wallet that nothing at or below `offset` will be told for the first time any more.

        Not at every checkpoint: the wallets' log is kept for ever, and a minute later is soon enough to forget.
        """
        watermark_ms = self._saved.watermark_ms
        moved_ms = watermark_ms - self._told_ms
        if moved_ms < SAFE_POINT_MS and offset - self._told_offset < SAFE_POINT_OFFSETS:
            return
        self._told_ms, self._told_offset = watermark_ms, offset
        point = SafePoint(
            origin_partition=self._partition,
            origin_offset=offset,
            watermark_ms=watermark_ms,
            counts=self._saved.counts,
        )
        yield Output(WALLET_INPUTS, [Record(None, _encode_json(point))], everywhere=True)

    def idle(self, now_ms: int) -> list[Record]:
        """A tick, so that the last conversations close though nobody speaks any more.

        Only where events are live: a partition that holds history gets its time from whoever feeds it.
        """
        behind_ms = now_ms - self._sessions.watermark_ms
        return [Record(None, encode_tick(now_ms))] if 0 < behind_ms < self._sessions.policy.horizon_ms else []

    def _observe(self, outcomes: Counter[str], now_ms: int) -> None:
        for name, count in outcomes.items():
            metrics.EVENTS.labels(name).inc(count)
        number = str(self._partition)
        metrics.LIVE_INTERACTIONS.labels(number).set(len(self._sessions.interactions))
        metrics.WATERMARK_DELAY.labels(number).set(max(0, now_ms - self._sessions.watermark_ms) / 1000)


_NAMES: dict[type[Outcome], str] = {
    ConversationTouched: "conversation",
    OccurrenceCounted: "occurrence",
    Ticked: "tick",
    Duplicate: "duplicate",
    Conflict: "conflict",
    Rejected: "dead_letter",
}


def _outcomes(counts: EventCounts) -> Counter[str]:
    """The outcomes that `counts` were made of; what both repeats and conflicts are needs no telling apart any more."""
    return Counter(
        conversation=counts.messages,
        occurrence=counts.occurrences,
        duplicate=counts.duplicates,
        dead_letter=counts.refused,
        tick=counts.ticks,
    )
