"""The fold of the first stage: chat events in; metered updates and dead letters out."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from meter import metrics
from meter.core.policy import Policy, PolicyInForce
from meter.kafka.fetched import Fetched, last_timestamp_ms
from meter.kafka.records import Record
from meter.sessionizer.engine import MakeEngine, Processed
from meter.stage.dead_letter import dead_letters, left_out
from meter.stage.fold import Output
from meter.stage.mark import NO_LIFE, Life
from meter.stage.moves import moves
from schemas.event_counts import EventCounts
from schemas.events import encode_tick
from schemas.instants import MINUTE_MS
from schemas.metered import SafePoint
from schemas.policy import encode_policy
from schemas.topics import CHAT_EVENTS, WALLET_INPUTS
from schemas.versions import version_of

SAFE_POINT_MS: Final = MINUTE_MS
SAFE_POINT_OFFSETS: Final = 100_000
"""A safe point follows the last one after this much event time, or after so many offsets if event time stands still."""


CHECKPOINT_EVENTS: Final = 500_000
"""A checkpoint is made after so many events at the latest. Wallets keep what came since the last safe point in a mark:
5 to 9 bytes for each event outside conversations.
"""

_NEVER_MS: Final = -(2**62)


class Mark(msgspec.Struct, array_like=True):
    """The part of a checkpoint that is not entries, as of its offset.

    `in_force` is the policy. Events before `oldest_ms` are late, and stay so if the late horizon becomes longer.
    `arrived_ms` is the Kafka timestamp of the record that moved the watermark last.
    """

    watermark_ms: int = 0
    counts: EventCounts = EventCounts()
    in_force: PolicyInForce | None = None
    oldest_ms: int = _NEVER_MS
    arrived_ms: int = 0


_encode_json = msgspec.json.Encoder().encode
encode_mark = msgspec.msgpack.Encoder().encode
decode_mark = msgspec.msgpack.Decoder(Mark).decode


class Sessionizer:
    """The fold of one partition of chat-events. The state is in its engine; see `Fold` for when a method is called.

    `policy` is the one that the deployment began with. It is in force until the first newer policy record.
    """

    def __init__(self, policy: Policy, partition: int, make_engine: MakeEngine, partitions: int = 1) -> None:
        self._partition = partition
        self._last_safe_point_ms, self._last_safe_point_offset = _NEVER_MS, 0
        self._saved = Mark()
        self._life = NO_LIFE
        self._events, self._outcomes = 0, Counter[str]()
        self._engine = make_engine(policy, partition, partitions)
        self.spills = self._engine.spills
        self.changed, self.sweep, self.load = self._engine.changed, self._engine.sweep, self._engine.load

    @property
    def is_full(self) -> bool:
        return self._engine.is_full or self._events - self._saved.counts.events >= CHECKPOINT_EVENTS

    def finish(self, mark: bytes | None, floor: int) -> None:
        """Begin with the state that was loaded, and with the event counts of `mark`."""
        saved = self._saved = decode_mark(mark) if mark else Mark()
        self._events, self._outcomes = saved.counts.events, _outcomes(saved.counts)
        if saved.in_force is not None:
            self._engine.adopt(saved.in_force, saved.oldest_ms)
        self._engine.finish(floor, saved.watermark_ms, saved.counts.closed_messages)
        self._observe_live()
        self._observe_policy()

    def process(self, records: Sequence[Fetched]) -> Iterator[Output]:
        """Meter a batch: yield its dead letters, then its misplaced records, then its metered updates.

        This order matters in a crash: a batch must not be billed while its dead letters can still be lost.

        A record that puts another policy in force divides the batch. The policy is written to the wallets after the
        metered updates of the records before it, and before those of the records after it.
        """
        self._events += len(records)
        part = self._engine.process(records)
        yield from self._outputs(part, last_timestamp_ms(records))
        while part.switched is not None:
            self._observe_policy()
            policy = Record(None, encode_policy(part.switched.record()))
            yield Output(WALLET_INPUTS, [policy], partition=self._partition)
            part = self._engine.go_on()
            yield from self._outputs(part, last_timestamp_ms(records))

    def _outputs(self, processed: Processed, now_ms: int) -> Iterator[Output]:
        if processed.is_final:
            self._last_safe_point_ms = _NEVER_MS
        self._outcomes.update(processed.outcomes)
        self._observe(processed, now_ms)
        yield dead_letters(processed.letters)
        yield moves(CHAT_EVENTS, CHAT_EVENTS, processed.moved)
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
        """Return watermark, event counts and policy, encoded. Kept for the safe point that follows the checkpoint."""
        engine = self._engine
        arrived_ms = engine.arrived_ms or self._saved.arrived_ms
        self._saved = Mark(engine.watermark_ms, self._counts(), engine.in_force, engine.oldest_ms, arrived_ms)
        return encode_mark(self._saved)

    def _counts(self) -> EventCounts:
        outcomes = self._outcomes
        return EventCounts(
            events=self._events,
            messages=outcomes["conversation"],
            closed_messages=self._engine.closed_messages,
            occurrences=outcomes["occurrence"],
            duplicates=outcomes["duplicate"] + outcomes["conflict"],
            refused=outcomes["dead_letter"],
            ticks=outcomes["tick"] + outcomes["policy"],
            moved=outcomes["moved"],
        )

    def confirm(self, offset: int) -> Iterable[Output]:
        """Yield a safe point for this partition's wallets: all metered updates caused up to `offset` are in their log.

        The wallets are those in the partition of wallet-inputs with the same number: no other hears of this one.

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
        yield Output(WALLET_INPUTS, [Record(None, _encode_json(point))], self._partition)

    def idle(self, now_ms: int) -> list[Record]:
        """Return a tick of `now_ms`, so that the last conversations close although no more events arrive.

        Return none if the watermark is not behind `now_ms`, or if the partition is not live. It is live if the record
        that moved its watermark last arrived at Kafka within the late horizon of its own time. So a live partition is
        ticked after any outage. One that is not holds old events, and the process that feeds them moves their time.
        """
        watermark_ms = self._engine.watermark_ms
        arrived_ms = self._engine.arrived_ms or self._saved.arrived_ms
        is_live = watermark_ms > 0 and arrived_ms - watermark_ms < self._engine.in_force.policy.horizon_ms
        return [Record(None, encode_tick(now_ms))] if is_live and now_ms > watermark_ms else []

    def _observe(self, processed: Processed, now_ms: int) -> None:
        for name, count in processed.outcomes.items():
            metrics.EVENTS.labels(name).inc(count)
        for kind, count in processed.kinds.items():
            metrics.METERED.labels(kind).inc(count)
        number = str(self._partition)
        self._observe_live()
        metrics.WATERMARK_DELAY.labels(number).set(max(0, now_ms - self._engine.watermark_ms) / 1000)

    def _observe_policy(self) -> None:
        version = self._engine.in_force.version
        metrics.POLICY_VERSION.labels(CHAT_EVENTS.name, str(self._partition)).set(version)

    def _observe_live(self) -> None:
        number = str(self._partition)
        metrics.LIVE_INTERACTIONS.labels(number).set(self._engine.live)
        metrics.KNOWN_IDS.labels(number).set(self._engine.ids)
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
        moved=counts.moved,
    )


def count_lost(mark: bytes) -> bytes:
    """Return a mark with one refused event more: a range of events was lost, and has one dead letter."""
    saved = decode_mark(mark) if mark else Mark()
    counts = saved.counts
    counts = msgspec.structs.replace(counts, events=counts.events + 1, refused=counts.refused + 1)
    return encode_mark(msgspec.structs.replace(saved, counts=counts))
