"""A stage: it reads one topic in batches, keeps one fold for each partition, and saves its state in checkpoints.

The outputs of a batch are sent as soon as the batch is processed. When a checkpoint is due, its effects come in this
order, and each step waits until the one before it is acknowledged:

1. The broker has acknowledged all outputs sent since the last checkpoint.
2. The blocks with the changed state are written.
3. The group confirms, unless it has done so lately, that the partition still belongs to this worker.
4. The mark is written. From here on the checkpoint counts.
5. The records that the new checkpoint replaces are removed.
6. The outputs that may only follow the mark (`Fold.confirm`) are written.
7. The offset is committed to the group.

So a crash between any two steps repeats outputs and loses none. A restart restores the state as of exactly the mark's
offset, so the repeated outputs say the same things (docs/adr/0005).

A stage continues after its newest checkpoint, not at the committed offset. It skips the records that a batch repeats.
A batch that begins beyond the next offset leaves a hole, because Faust dropped a batch: the stage reads it again.
"""

import asyncio
import logging
import time
from functools import partial
from typing import Final

from faust.types import TP

from meter import metrics
from meter.kafka.fetched import Batch, since
from meter.kafka.topics import delivered
from meter.stage.checkpoints import Checkpoints, SupersededError
from meter.stage.fold import MakeFold
from meter.stage.outputs import send
from meter.stage.partition import NEVER_S, Partition
from meter.stage.ports import Clock, Group, Topics
from schemas.delivery import is_hole, is_quiet, may_be_dropped
from schemas.topics import Topic

logger = logging.getLogger(__name__)

SEEK_AGAIN_S: Final = 5.0  # The shortest time between two seeks: batches beyond the hole still arrive after the first.
IDLE_S: Final = 30.0  # The time without a record after which `Fold.idle` is called.


class LostRecordsError(Exception):
    """The broker deleted records before this stage read them. A longer retention or more workers prevent it."""


class Stage:
    """Reads the topic `source` and keeps its state in the topic `state`, for all partitions assigned to this worker."""

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
        """Process a batch that was fetched under `generation`. Ignores it if partitions have moved since then.

        The caller must end the process on any exception, because the state may then be half updated.
        """
        async with self._lock:
            await self._process(batch, generation)

    async def run_periodic(self) -> None:
        """Do what must not wait for a batch: restore assigned partitions, make due checkpoints, look for holes.

        The worker calls it twice in each checkpoint interval. The caller must end the process on any exception.
        """
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
        """Write the records of `Fold.idle` to the source topic if the partition has brought no record for IDLE_S."""
        now_s = self._clock.monotonic()
        if now_s - partition.last_records_s >= IDLE_S:
            partition.last_records_s = partition.last_batch_s = now_s  # What is written now is fetched soon: no hole.
            records = partition.fold.idle(int(self._clock.time() * 1000))
            await self._topics.write(self._source.name, tp.partition, records)

    async def _process(self, batch: Batch, generation: int) -> None:
        if self._is_stale(generation):
            return  # Another worker may own the partition by now; if not, the batch is fetched again.
        partition = await self._partition(batch.tp, generation)
        if partition is None:
            return
        if is_hole(batch.base, partition.next_offset):
            await self._go_back(batch.tp, partition)
            return
        records = since(batch.records, partition.next_offset)
        if records:
            metrics.BATCH_RECORDS.labels(self._source.name).observe(len(records))
            partition.sent += await send(self._topics, partition.fold.process(records))
            partition.last_records_s = self._clock.monotonic()
        partition.next_offset = max(partition.next_offset, batch.last_offset + 1)
        self._last_processed_s = partition.last_batch_s = self._clock.monotonic()
        lag = metrics.CONSUMER_LAG.labels(batch.tp.topic, str(batch.tp.partition))
        lag.set(max(0, self._group.end(batch.tp) - partition.next_offset))
        await self._checkpoint_if_due(batch.tp)

    def _is_stale(self, generation: int) -> bool:
        return self._group.is_moving or generation != self._group.generation

    async def _partition(self, tp: TP, generation: int) -> Partition | None:
        """Return the partition, restored first if its state in memory is missing or not the newest.

        None if this worker may not own it any more. A slow restore is then dropped: a later owner may have removed
        records, and compaction deleted them, before they were read.
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
                # A crash may have come between the mark and the outputs that follow it.
                await delivered(await send(self._topics, fold.confirm(restored.offset)))
        return partition

    async def _keep_if_newest(self, tp: TP, partition: Partition, generation: int) -> Partition | None:
        """Return the partition with its state in memory if no other worker has written state meanwhile, else None."""
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
        """Fetch again a batch that Faust dropped. Until it comes, batches beyond the hole are ignored."""
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
        """Find a hole at the end of the log. No batch follows that would show it; the consumer's position does."""
        now_s = self._clock.monotonic()
        # All partitions share one lock, so a batch of this one may be waiting while other partitions are processed.
        if may_be_dropped(now_s - partition.last_batch_s, now_s - self._last_processed_s):
            position = await self._group.position(tp)
            if position is not None and is_hole(position, partition.next_offset):
                await self._go_back(tp, partition)

    async def _commit_again(self, tp: TP, partition: Partition) -> None:
        """Repeat the commit of a quiet partition: a late commit of an earlier assignment may have replaced it."""
        # The aggregator reads the group's offset first. A stage does not: the commit also proves that the partition
        # is its own (`_is_owned`).
        now_s = self._clock.monotonic()
        if is_quiet(min(now_s - partition.last_batch_s, now_s - partition.last_owned_s)):
            await self._commit(tp, partition)

    async def _checkpoint_if_due(self, tp: TP) -> None:
        partition = self._partitions[tp]
        if self._is_stale(partition.generation):
            return  # The partition is kept: if it comes back, its state may still be the newest.
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
        written_bytes = await partition.checkpoints.write(offset, fold, is_still_owned)
        await delivered(await send(self._topics, fold.confirm(offset)))
        partition.saved_offset, partition.saved_s = partition.next_offset, self._clock.monotonic()
        metrics.CHECKPOINT_SECONDS.observe(partition.saved_s - started_s)
        metrics.CHECKPOINT_BYTES.observe(written_bytes)
        await self._commit(tp, partition)

    async def _is_owned(self, tp: TP, partition: Partition) -> bool:
        """Whether no other worker can own the partition yet. A process does not notice that it was paused.

        The group gives a silent worker's partitions away after the session timeout. So the last accepted commit must be
        younger than half of it; if it is not, another commit is tried.
        """
        if self._is_stale(partition.generation):
            return False
        if self._clock.monotonic() - partition.last_owned_s > self._session_s / 2:
            await self._commit(tp, partition)
        return self._clock.monotonic() - partition.last_owned_s <= self._session_s / 2

    async def _commit(self, tp: TP, partition: Partition) -> None:
        """Commit the saved offset: it reports progress, and an accepted commit proves that the partition is owned."""
        asked_s = self._clock.monotonic()
        if self._is_stale(partition.generation):
            return
        if await self._group.commit(tp, partition.saved_offset) and not self._is_stale(partition.generation):
            partition.last_owned_s = asked_s
