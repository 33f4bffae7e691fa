"""A stage: it reads one topic in batches, keeps one fold a partition, and checkpoints it (docs/adr/0005).

The order of effects is what makes a crash harmless. What a batch causes is acknowledged by the broker first; at a
checkpoint the state follows, then the mark that completes it, then what may only be said after it, and last the
committed offset. A crash repeats outputs and loses none; the state is restored to exactly the mark's offset, so the
repeats are the same.

The checkpoint, not the committed offset, says where to go on: what a batch repeats is skipped, and a batch that begins
beyond it is a hole that Faust left, so the stage goes back and reads it again.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final, NamedTuple, Protocol

from aiokafka import ConsumerRecord
from faust import App
from faust.types import TP, StreamT

from meter import metrics
from meter.checkpoints import Checkpoints, Restored
from meter.log import Delivery, Log, Record, delivered
from meter.offsets import Offsets
from meter.transport import Batch
from schemas.topics import Topic

logger = logging.getLogger(__name__)

CRASHED: Final = 70
"""Exit status after an unexpected error: nothing is tidied up, because a restart is what puts things right."""

SEEK_AGAIN_S: Final = 5.0
IDLE_S: Final = 30.0


class LostRecordsError(Exception):
    """The broker deleted records before they were read: longer retention or a faster worker would have kept them."""


class Output(NamedTuple):
    """Records for the partitions of their keys, or, where `everywhere`, for every partition of the topic."""

    topic: Topic
    records: list[Record]
    everywhere: bool = False


class Fold(Protocol):
    """The state of one partition, and what its records do to it."""

    def take(self, records: list[ConsumerRecord]) -> Iterable[Output]:
        """Take records in offset order; what they cause."""

    def changes(self) -> Iterable[tuple[bytes, bytes | None]]:
        """What of the state has changed since last asked; None for what ended."""

    def mark(self) -> bytes:
        """The part of the state that every checkpoint holds."""

    def confirm(self, offset: int) -> Iterable[Output]:
        """What may be said now that a checkpoint as of `offset` is complete."""

    def idle(self, now_ms: int) -> list[Record]:
        """Records for the partition's own topic, after a while in which it brought none."""


MakeFold = Callable[[int, Restored], Fold]
"""(partition, what its checkpoint held) -> the fold to go on with."""


class _Partition:
    """One assigned partition: its fold, and how far it has read and saved."""

    def __init__(self, fold: Fold, checkpoints: Checkpoints, next_offset: int, generation: int) -> None:
        self.fold = fold
        self.checkpoints = checkpoints
        self.next_offset = next_offset
        self.saved_offset = next_offset
        self.generation = generation
        self.saved_at = time.monotonic()
        self.sought_at = 0.0
        self.heard_at = time.monotonic()


class Stage:
    """Reads `source`; keeps its state in `state`. One instance serves all partitions assigned to this worker."""

    def __init__(
        self, app: App, log: Log, bootstrap: str, source: Topic, state: Topic, make_fold: MakeFold, checkpoint_ms: int
    ) -> None:
        self._app = app
        self._offsets = Offsets(app)
        self._log = log
        self._bootstrap = bootstrap
        self._source = source
        self._state = state
        self._make_fold = make_fold
        self._checkpoint_s = checkpoint_ms / 1000
        self._partitions: dict[TP, _Partition] = {}
        self._lock = asyncio.Lock()

    async def run(self, stream: StreamT[Batch]) -> None:
        """The body of the stage's agent. An unexpected error ends the process."""
        try:
            async for event in stream.noack().events():
                async with self._lock:
                    await self._on_batch(event.value, event.message)
        except Exception:
            crash(f"the stage that reads {self._source.name} failed")

    async def tend(self) -> None:
        """What is to be done when nothing arrives: restore what is assigned, checkpoint what is due, pass the time."""
        try:
            async with self._lock:
                generation = self._app.consumer_generation_id
                for tp in self._assigned():
                    if not self._is_stale(generation):
                        partition = await self._partition(tp, generation)
                        await self._pass_time(tp, partition)
                        await self._look_for_hole(tp, partition)
                for tp in list(self._partitions):
                    await self._checkpoint_if_due(tp)
        except Exception:
            crash(f"tending the partitions of {self._source.name} failed")

    def _assigned(self) -> list[TP]:
        return [tp for tp in self._app.consumer.assignment() if tp.topic == self._source.name]

    async def _pass_time(self, tp: TP, partition: _Partition) -> None:
        """A partition in which nobody speaks is told the time now and then, as a record like any other."""
        now = time.monotonic()
        if now - partition.heard_at >= IDLE_S:
            partition.heard_at = now
            records = partition.fold.idle(int(time.time() * 1000))
            await self._log.write(self._source.name, tp.partition, records)

    async def _on_batch(self, batch: Batch, message: Any) -> None:
        generation = message.generation_id
        if self._is_stale(generation):
            return  # The partition may be another worker's by now, or it is read again from its committed offset.
        partition = await self._partition(batch.tp, generation)
        if batch.base > partition.next_offset:
            await self._go_back(batch.tp, partition)
            return
        records = _from(batch.records, partition.next_offset)
        if records:
            metrics.BATCH_RECORDS.labels(self._source.name).observe(len(records))
            await self._send(partition.fold.take(records))
            partition.next_offset = batch.last_offset + 1
        partition.heard_at = time.monotonic()
        self._observe_lag(batch.tp, partition)
        await self._checkpoint_if_due(batch.tp)

    def _observe_lag(self, tp: TP, partition: _Partition) -> None:
        with suppress(AssertionError):  # The client's way to say that the partition has just gone to another worker.
            end = int(self._app.consumer.highwater(tp) or 0)
            lag = metrics.CONSUMER_LAG.labels(tp.topic, str(tp.partition))
            lag.set(max(0, end - partition.next_offset))

    def _is_stale(self, generation: int) -> bool:
        return bool(self._app.rebalancing) or generation != self._app.consumer_generation_id

    async def _partition(self, tp: TP, generation: int) -> _Partition:
        """The partition's state, restored if this worker has not held it without a break."""
        partition = self._partitions.get(tp)
        if partition is None or partition.generation != generation:
            checkpoints = Checkpoints(self._log, self._bootstrap, self._state, tp.partition)
            restored = await checkpoints.restore()
            next_offset = restored.offset + 1 if restored.mark is not None else await self._offsets.beginning(tp)
            fold = self._make_fold(tp.partition, restored)
            partition = self._partitions[tp] = _Partition(fold, checkpoints, next_offset, generation)
            logger.info("%s: restored %d records, going on at %d", tp, len(restored.records), next_offset)
            if restored.mark is not None:
                # A crash may have come between the mark and what follows it.
                await self._send(fold.confirm(restored.offset))
                await self._commit(tp, partition)
        return partition

    async def _go_back(self, tp: TP, partition: _Partition) -> None:
        """Faust dropped a batch that it had fetched. Ask for it again; until it comes, what is beyond is ignored."""
        now = time.monotonic()
        if now - partition.sought_at > SEEK_AGAIN_S:
            partition.sought_at = now
            beginning = await self._offsets.beginning(tp)
            if beginning > partition.next_offset:
                raise LostRecordsError(f"{tp}: offsets {partition.next_offset} to {beginning - 1} were deleted unread")
            metrics.REFETCHES.inc()
            logger.warning("%s: a hole, reading again from %d", tp, partition.next_offset)
            await self._offsets.seek(tp, partition.next_offset)

    async def _look_for_hole(self, tp: TP, partition: _Partition) -> None:
        """A hole at the end of the log shows only in a consumer that has read on while this stage heard nothing."""
        if time.monotonic() - partition.heard_at > SEEK_AGAIN_S:
            position = await self._offsets.position(tp)
            if position is not None and position > partition.next_offset:
                await self._go_back(tp, partition)

    async def _send(self, outputs: Iterable[Output]) -> None:
        """Write what a batch caused; returns when the broker has all of it."""
        deliveries: list[Delivery] = []
        for output in outputs:
            if output.everywhere:
                for number in range(await self._log.partitions(output.topic.name)):
                    deliveries += await self._log.append(output.topic.name, number, output.records)
            else:
                deliveries += await self._log.append_keyed(output.topic.name, output.records)
        await delivered(deliveries)

    async def _checkpoint_if_due(self, tp: TP) -> None:
        partition = self._partitions[tp]
        if self._is_stale(partition.generation):
            del self._partitions[tp]  # Restored when it is assigned again.
            return
        age_s = time.monotonic() - partition.saved_at
        if partition.next_offset > partition.saved_offset and age_s >= self._checkpoint_s:
            await self._checkpoint(tp, partition)

    async def _checkpoint(self, tp: TP, partition: _Partition) -> None:
        started = time.monotonic()
        offset = partition.next_offset - 1
        fold = partition.fold
        written = await partition.checkpoints.write(offset, fold.mark(), fold.changes())
        await self._send(fold.confirm(offset))
        partition.saved_offset, partition.saved_at = partition.next_offset, time.monotonic()
        metrics.CHECKPOINT_SECONDS.observe(time.monotonic() - started)
        metrics.CHECKPOINT_RECORDS.observe(written)
        await self._commit(tp, partition)

    async def _commit(self, tp: TP, partition: _Partition) -> None:
        """Move the group's offset. It is a report of progress: the checkpoint is what counts."""
        if not self._is_stale(partition.generation):
            await self._offsets.commit(tp, partition.next_offset)


def _from(records: list[ConsumerRecord], offset: int) -> list[ConsumerRecord]:
    if records[0].offset >= offset:
        return records
    return [record for record in records if record.offset >= offset]


def crash(why: str) -> None:
    """Log the error in hand and end the process at once."""
    logger.critical("%s; ending this worker", why, exc_info=True)
    logging.shutdown()
    os._exit(CRASHED)
