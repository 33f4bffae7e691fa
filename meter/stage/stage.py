"""A stage: it reads one topic in batches, keeps one fold a partition, and checkpoints it (docs/adr/0005).

The order of effects is what makes a crash harmless. What a batch causes leaves at once; a checkpoint waits until the
broker has acknowledged all of it, then the state follows, then the mark that completes it, then what may only be said
after it, and last the committed offset. A crash repeats outputs and loses none; the state is restored to exactly the
mark's offset, so the repeats are the same.

The checkpoint, not the committed offset, says where to go on: what a batch repeats is skipped, and a batch that begins
beyond it is a hole that Faust left, so the stage goes back and reads it again.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from functools import partial
from typing import Final

from faust.types import TP

from meter import metrics
from meter.kafka.fetched import Batch, since
from meter.kafka.records import Delivery
from meter.kafka.topics import delivered
from meter.stage.checkpoints import Checkpoints, SupersededError
from meter.stage.fold import MakeFold, Output
from meter.stage.partition import NEVER_S, Partition
from meter.stage.ports import Clock, Group, Topics
from schemas.delivery import is_hole, is_quiet, may_be_dropped
from schemas.topics import Topic

logger = logging.getLogger(__name__)

SEEK_AGAIN_S: Final = 5.0  # Batches beyond a hole that come so soon after a seek cause no second one.
IDLE_S: Final = 30.0


class LostRecordsError(Exception):
    """The broker deleted records before they were read: longer retention or a faster worker would have kept them."""


class Stage:
    """Reads `source`; keeps its state in `state`. One instance serves all partitions assigned to this worker."""

    def __init__(
        self,
        topics: Topics,
        group: Group,
        source: Topic,
        state: Topic,
        make_fold: MakeFold,
        *,
        checkpoint_ms: int,
        session_ms: int,
        clock: Clock = time,
    ) -> None:
        self._topics = topics
        self._group = group
        self._source = source
        self._state = state
        self._make_fold = make_fold
        self._checkpoint_s = checkpoint_ms / 1000
        self._session_s = session_ms / 1000
        self._clock = clock
        self._partitions: dict[TP, Partition] = {}
        self._last_processed_s = NEVER_S
        self._lock = asyncio.Lock()

    async def process(self, batch: Batch, generation: int) -> None:
        """Take a batch that was fetched under `generation`. Whatever is raised has to end the process."""
        async with self._lock:
            await self._process(batch, generation)

    async def run_periodic(self) -> None:
        """What is to be done when nothing arrives: restore what is assigned, checkpoint what is due, pass the time."""
        async with self._lock:
            generation = self._group.generation
            assigned = self._group.assigned(self._source.name)
            if not self._group.is_moving:
                for tp in self._partitions.keys() - set(assigned):
                    del self._partitions[tp]
            for tp in assigned:
                if not self._is_stale(generation):
                    partition = await self._partition(tp, generation)
                    if partition is not None:
                        await self._pass_time(tp, partition)
                        await self._look_for_hole(tp, partition)
                        await self._commit_again(tp, partition)
            for tp in list(self._partitions):
                await self._checkpoint_if_due(tp)

    async def _pass_time(self, tp: TP, partition: Partition) -> None:
        """A partition in which nobody speaks is told the time now and then, as a record like any other."""
        now_s = self._clock.monotonic()
        if now_s - partition.last_batch_s >= IDLE_S:
            partition.last_batch_s = now_s
            records = partition.fold.idle(int(self._clock.time() * 1000))
            await self._topics.write(self._source.name, tp.partition, records)

    async def _process(self, batch: Batch, generation: int) -> None:
        if self._is_stale(generation):
            return  # The partition may be another worker's by now, or it is read again from its committed offset.
        partition = await self._partition(batch.tp, generation)
        if partition is None:
            return
        if is_hole(batch.base, partition.next_offset):
            await self._go_back(batch.tp, partition)
            return
        records = since(batch.records, partition.next_offset)
        if records:
            metrics.BATCH_RECORDS.labels(self._source.name).observe(len(records))
            partition.sent += await self._send(partition.fold.process(records))
            partition.next_offset = batch.last_offset + 1
        self._last_processed_s = partition.last_batch_s = self._clock.monotonic()
        lag = metrics.CONSUMER_LAG.labels(batch.tp.topic, str(batch.tp.partition))
        lag.set(max(0, self._group.end(batch.tp) - partition.next_offset))
        await self._checkpoint_if_due(batch.tp)

    def _is_stale(self, generation: int) -> bool:
        return self._group.is_moving or generation != self._group.generation

    async def _partition(self, tp: TP, generation: int) -> Partition | None:
        """The partition's state, restored if another worker has written any since this one did.

        None if it is not its own any more: while it was reading, a later owner may have removed, and compaction taken,
        what it has not seen.
        """
        partition = self._partitions.get(tp)
        if partition is not None and partition.generation != generation:
            del self._partitions[tp]
            partition = await self._keep_if_newest(tp, partition, generation)
        if partition is None and not self._is_stale(generation):
            checkpoints = Checkpoints(self._topics, self._state, tp.partition)
            fold = self._make_fold(tp.partition)
            started_s = self._clock.monotonic()
            restored = await checkpoints.restore(fold)
            metrics.RESTORE_SECONDS.observe(self._clock.monotonic() - started_s)
            next_offset = restored.offset + 1 if restored.offset >= 0 else await self._group.beginning(tp)
            now_s = self._clock.monotonic()
            if not await self._group.commit(tp, next_offset) or self._is_stale(generation):
                return None
            partition = self._partitions[tp] = Partition(fold, checkpoints, next_offset, generation, now_s)
            logger.info("%s: restored %d blocks, going on at %d", tp, restored.blocks, next_offset)
            if restored.offset >= 0:
                # A crash may have come between the mark and what follows it.
                await delivered(await self._send(fold.confirm(restored.offset)))
        return partition

    async def _keep_if_newest(self, tp: TP, partition: Partition, generation: int) -> Partition | None:
        """The partition as it is, where partitions have moved and this one has come back untouched."""
        if not await partition.checkpoints.are_the_newest():
            return None
        now_s = self._clock.monotonic()
        if not await self._group.commit(tp, partition.saved_offset) or self._is_stale(generation):
            return None
        partition.generation = generation
        partition.last_owned_s = now_s
        self._partitions[tp] = partition
        return partition

    async def _go_back(self, tp: TP, partition: Partition) -> None:
        """Faust dropped a batch that it had fetched. Ask for it again; until it comes, what is beyond is ignored."""
        now_s = self._clock.monotonic()
        if now_s - partition.last_seek_s > SEEK_AGAIN_S:
            partition.last_seek_s = now_s
            beginning = await self._group.beginning(tp)
            if beginning > partition.next_offset:
                raise LostRecordsError(f"{tp}: offsets {partition.next_offset} to {beginning - 1} were deleted unread")
            metrics.REFETCHES.inc()
            logger.warning("%s: a hole, reading again from %d", tp, partition.next_offset)
            await self._group.seek(tp, partition.next_offset)

    async def _look_for_hole(self, tp: TP, partition: Partition) -> None:
        """A hole at the end of the log shows only in a consumer that has read on while this stage heard nothing."""
        now_s = self._clock.monotonic()
        # One lock: while batches of other partitions are processed, one of this partition may be waiting its turn.
        if may_be_dropped(now_s - partition.last_batch_s, now_s - self._last_processed_s):
            position = await self._group.position(tp)
            if position is not None and is_hole(position, partition.next_offset):
                await self._go_back(tp, partition)

    async def _commit_again(self, tp: TP, partition: Partition) -> None:
        """A commit of an assignment that is over may come in last of all; where nothing arrives, none would follow."""
        # Unlike the aggregator, without looking where the group stands: a commit is a sign of life too (`_is_owned`).
        now_s = self._clock.monotonic()
        if is_quiet(min(now_s - partition.last_batch_s, now_s - partition.last_owned_s)):
            await self._commit(tp, partition)

    async def _send(self, outputs: Iterable[Output]) -> list[Delivery]:
        """Write what a batch caused; what is returned is done once the broker has all of it."""
        deliveries: list[Delivery] = []
        for output in outputs:
            topic, records = output.topic.name, output.records
            if callable(records):
                packed = records(await self._topics.partitions(topic))
                deliveries += [await self._topics.append_packed(topic, each) for each in packed]
            elif output.everywhere:
                for number in range(await self._topics.partitions(topic)):
                    deliveries += await self._topics.append(topic, number, records)
            else:
                deliveries += await self._topics.append_keyed(topic, records)
        return deliveries

    async def _checkpoint_if_due(self, tp: TP) -> None:
        partition = self._partitions[tp]
        if self._is_stale(partition.generation):
            return  # Where it is assigned again, its state may still be the newest.
        age_s = self._clock.monotonic() - partition.saved_s
        is_due = age_s >= self._checkpoint_s or partition.fold.is_full
        if partition.next_offset > partition.saved_offset and is_due:
            try:
                await self._checkpoint(tp, partition)
            except SupersededError as superseded:
                logger.warning("%s: the state was not saved, the partition is another worker's", superseded)
                del self._partitions[tp]

    async def _checkpoint(self, tp: TP, partition: Partition) -> None:
        started_s = self._clock.monotonic()
        offset = partition.next_offset - 1
        fold = partition.fold
        is_still_owned = partial(self._is_owned, tp, partition)
        sent, partition.sent = partition.sent, []
        await delivered(sent)
        written = await partition.checkpoints.write(offset, fold, is_still_owned)
        await delivered(await self._send(fold.confirm(offset)))
        partition.saved_offset, partition.saved_s = partition.next_offset, self._clock.monotonic()
        metrics.CHECKPOINT_SECONDS.observe(partition.saved_s - started_s)
        metrics.CHECKPOINT_BYTES.observe(written)
        await self._commit(tp, partition)

    async def _is_owned(self, tp: TP, partition: Partition) -> bool:
        """Whether nobody else can have the partition yet. A process that was paused does not know it by itself: the
        group gives a silent worker's partitions away after the session, so what it last heard must be younger.
        """
        if self._is_stale(partition.generation):
            return False
        if self._clock.monotonic() - partition.last_owned_s > self._session_s / 2:
            await self._commit(tp, partition)
        return self._clock.monotonic() - partition.last_owned_s <= self._session_s / 2

    async def _commit(self, tp: TP, partition: Partition) -> None:
        """Move the group's offset. It is a report of progress, the checkpoint is what counts; and a sign of life."""
        asked_s = self._clock.monotonic()
        if (
            not self._is_stale(partition.generation)
            and await self._group.commit(tp, partition.saved_offset)
            and not self._is_stale(partition.generation)
        ):
            partition.last_owned_s = asked_s
