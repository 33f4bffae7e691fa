"""The fold of the first stage: chat events in; metered updates and dead letters out."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from meter import metrics
from meter.core.policy import Policy
from meter.kafka.fetched import Fetched, last_timestamp_ms
from meter.kafka.records import Record
from meter.sessionizer.engine import MakeEngine, Processed
from meter.stage.dead_letter import dead_letters, left_out
from meter.stage.fold import Output
from meter.stage.mark import NO_LIFE, Life
from schemas.event_counts import EventCounts
from schemas.events import encode_tick
from schemas.instants import MINUTE_MS
from schemas.metered import SafePoint
from schemas.topics import CHAT_EVENTS, WALLET_INPUTS
from schemas.versions import version_of

SAFE_POINT_MS: Final = MINUTE_MS
SAFE_POINT_OFFSETS: Final = 100_000
"""A safe point follows the last one after this much event time, or after so many offsets if event time stands still."""


class Mark(msgspec.Struct, array_like=True):
    """The part of a checkpoint that is not entries: the watermark and the event counts, as of its offset."""

    watermark_ms: int = 0
    counts: EventCounts = EventCounts()


_NEVER_MS: Final = -(2**62)

_encode_json = msgspec.json.Encoder().encode
_encode = msgspec.msgpack.Encoder().encode
_decode_mark = msgspec.msgpack.Decoder(Mark).decode


class Sessionizer:
    """The fold of one partition of chat-events. The state is in its engine; see `Fold` for when a method is called."""

    def __init__(self, policy: Policy, partition: int, make_engine: MakeEngine) -> None:
        self._policy = policy
        self._partition = partition
        self._last_safe_point_ms, self._last_safe_point_offset = _NEVER_MS, 0
        self._saved = Mark()
        self._life = NO_LIFE
        self._events, self._outcomes = 0, Counter[str]()
        self._engine = make_engine(policy, partition)
        self.spills = self._engine.spills
        self.changed, self.sweep, self.load = self._engine.changed, self._engine.sweep, self._engine.load

    @property
    def is_full(self) -> bool:
        return self._engine.is_full

    def finish(self, mark: bytes | None, floor: int) -> None:
        """Begin with the state that was loaded, and with the event counts of `mark`."""
        saved = self._saved = _decode_mark(mark) if mark else Mark()
        self._events, self._outcomes = saved.counts.events, _outcomes(saved.counts)
        self._engine.finish(floor, saved.watermark_ms, saved.counts.closed_messages)
        self._observe_live()

    def process(self, records: Sequence[Fetched]) -> Iterator[Output]:
        """Meter a batch: yield its dead letters, then its metered updates.

        This order matters in a crash: a batch must not be billed while its dead letters can still be lost.
        """
        processed = self._engine.process(records)
        if processed.is_final:
            self._last_safe_point_ms = _NEVER_MS
        self._events += len(records)
        self._outcomes.update(processed.outcomes)
        self._observe(processed, last_timestamp_ms(records))
        yield dead_letters(processed.letters)
        yield Output(WALLET_INPUTS, processed.metered)

    def begin(self, life: Life) -> None:
        """Take the life of the topics: its generation is part of all origins."""
        self._life = life
        self._engine.generation = life.generation

    def leave_out(self, record: Fetched, reason: str) -> Iterator[Output]:
        """Count the record as refused, and yield its dead letter."""
        self._events += 1
        self._outcomes["dead_letter"] += 1
        metrics.EVENTS.labels("dead_letter").inc()
        yield left_out(CHAT_EVENTS, self._partition, record, reason)

    def mark(self) -> bytes:
        """Return the watermark and the event counts, encoded. Kept for the safe point that follows the checkpoint."""
        self._saved = Mark(self._engine.watermark_ms, self._counts())
        return _encode(self._saved)

    def _counts(self) -> EventCounts:
        outcomes = self._outcomes
        return EventCounts(
            events=self._events,
            messages=outcomes["conversation"],
            closed_messages=self._engine.closed_messages,
            occurrences=outcomes["occurrence"],
            duplicates=outcomes["duplicate"] + outcomes["conflict"],
            refused=outcomes["dead_letter"],
            ticks=outcomes["tick"],
        )

    def confirm(self, offset: int) -> Iterable[Output]:
        """Yield a safe point for every wallet: all metered updates caused up to `offset` are in wallet-inputs.

        A later update with an origin up to `offset` is therefore a repeat, so wallets may forget what recognises it.
        Not every checkpoint yields one: wallet-inputs is kept for ever, and a minute's delay costs wallets little.
        """
        watermark_ms = self._saved.watermark_ms
        moved_ms = watermark_ms - self._last_safe_point_ms
        if moved_ms < SAFE_POINT_MS and offset - self._last_safe_point_offset < SAFE_POINT_OFFSETS:
            return
        self._last_safe_point_ms, self._last_safe_point_offset = watermark_ms, offset
        point = SafePoint(
            origin_partition=self._partition,
            origin_offset=version_of(self._life.generation, offset),
            watermark_ms=watermark_ms,
            counts=self._saved.counts,
            partitions=self._life.source.partitions,
            generation=self._life.generation,
        )
        yield Output(WALLET_INPUTS, [Record(None, _encode_json(point))], everywhere=True)

    def idle(self, now_ms: int) -> list[Record]:
        """Return a tick of `now_ms`, so that the last conversations close although no more events arrive.

        Return none if the watermark is not behind `now_ms`, or by the late horizon or more. In the second case the
        partition holds old events, and the process that feeds them moves their time.
        """
        behind_ms = now_ms - self._engine.watermark_ms
        return [Record(None, encode_tick(now_ms))] if 0 < behind_ms < self._policy.horizon_ms else []

    def _observe(self, processed: Processed, now_ms: int) -> None:
        for name, count in processed.outcomes.items():
            metrics.EVENTS.labels(name).inc(count)
        for kind, count in processed.kinds.items():
            metrics.METERED.labels(kind).inc(count)
        number = str(self._partition)
        self._observe_live()
        metrics.WATERMARK_DELAY.labels(number).set(max(0, now_ms - self._engine.watermark_ms) / 1000)

    def _observe_live(self) -> None:
        number = str(self._partition)
        metrics.LIVE_INTERACTIONS.labels(number).set(self._engine.live)
        if self.spills:
            metrics.STORED_INTERACTIONS.labels(number).set(self._engine.stored)


def _outcomes(counts: EventCounts) -> Counter[str]:
    """Return the outcomes that `counts` were made of. Conflicts count as duplicates: `_counts` only needs their sum."""
    return Counter(
        conversation=counts.messages,
        occurrence=counts.occurrences,
        duplicate=counts.duplicates,
        dead_letter=counts.refused,
        tick=counts.ticks,
    )


def count_lost(mark: bytes) -> bytes:
    """Return a mark with one refused event more: a range of events was lost, and has one dead letter."""
    saved = _decode_mark(mark) if mark else Mark()
    counts = saved.counts
    counts = msgspec.structs.replace(counts, events=counts.events + 1, refused=counts.refused + 1)
    return _encode(msgspec.structs.replace(saved, counts=counts))
