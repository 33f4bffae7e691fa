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

import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from faust.types import TP

from meter import metrics
from meter.kafka.fetched import Batch, Fetched, since
from meter.kafka.topics import delivered
from meter.stage.checkpoints import SupersededError
from meter.stage.fold import MakeFold
from meter.stage.holes import Holes
from meter.stage.outputs import send
from meter.stage.partition import NEVER_S, Partition, Partitions
from meter.stage.ports import Clock, Group, Topics
from meter.stage.restoring import Restoring
from schemas.delivery import is_hole, is_quiet
from schemas.topics import Topic

logger = logging.getLogger(__name__)

IDLE_S: Final = 30.0  # The time without a record after which `Fold.idle` is called.


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
        self._checkpoint_s = checkpoint_ms / 1000
        self._session_s = session_ms / 1000
        self._clock = clock
        self._holes = Holes(group, clock)
        self._restoring = Restoring(topics, group, source, state, make_fold, clock, self._is_stale, self._save)
        self._partitions = Partitions()
        self._last_processed_s = NEVER_S

    async def process(self, batch: Batch, generation: int) -> None:
        """Process a batch that was fetched under `generation`. Ignores it if partitions have moved since then.

        The caller must end the process on any exception, because the state may then be half updated.
        """
        async with self._partitions:
            await self._process(batch, generation)

    async def run_periodic(self) -> None:
        """Do what must not wait for a batch: restore assigned partitions, make due checkpoints, look for holes.

        The worker calls it twice in each checkpoint interval. The caller must end the process on any exception.
        """
        async with self._partitions:
            generation = self._group.generation
            assigned = self._group.assigned(self._source.name)
            if not self._group.is_moving:
                for tp in self._partitions.keys() - set(assigned):
                    del self._partitions[tp]
            for tp in assigned:
                partition = None if self._is_stale(generation) else await self._partition(tp, generation)
                if partition is not None:
                    await self._pass_time(tp, partition)
                    await self._holes.look(tp, partition, self._last_processed_s)
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
            await self._holes.go_back(batch.tp, partition)
            return
        if batch.base < partition.saved_offset or partition.is_of_another_epoch(batch):
            # Records come again, or another broker leads: the log may have been cut off, or created again.
            await self._restoring.check_again(batch.tp, partition)
        partition.checkpoints.epoch = max(partition.checkpoints.epoch, batch.epoch)
        records = since(batch.records, partition.next_offset)
        if records:
            metrics.BATCH_RECORDS.labels(self._source.name).observe(len(records))
            if not await self._process_records(batch, partition, records):
                return
            partition.last_records_s = self._clock.monotonic()
        partition.next_offset = max(partition.next_offset, batch.last_offset + 1)
        self._last_processed_s = partition.last_batch_s = self._clock.monotonic()
        lag = metrics.CONSUMER_LAG.labels(batch.tp.topic, str(batch.tp.partition))
        lag.set(max(0, self._group.end(batch.tp) - partition.next_offset))
        await self._checkpoint_if_due(batch.tp)

    async def _process_records(self, batch: Batch, partition: Partition, records: Sequence[Fetched]) -> bool:
        """Process the records of a batch and send their outputs. Returns False if the partition is another worker's."""
        quarantine = partition.checkpoints.quarantine
        if quarantine.is_needed(partition.next_offset):
            return await self._process_slices(batch, partition, records)
        try:
            partition.sent += await send(self._topics, partition.fold.process(records))
        except Exception as error:
            await quarantine.failed(partition.next_offset, batch.last_offset, error)
            raise
        return True

    async def _process_slices(self, batch: Batch, partition: Partition, records: Sequence[Fetched]) -> bool:
        """The same in slices, because records are left out or because earlier owners ended among these records."""
        quarantine = partition.checkpoints.quarantine
        quarantine.read_until(self._group.end(batch.tp))
        for part in quarantine.slices(records, batch.last_offset):
            is_careful = quarantine.careful is not None
            try:
                partition.sent += await quarantine.process(partition.fold, part, self._topics)
                partition.next_offset = part.last_offset + 1
                if is_careful and not await self._save(batch.tp, partition):
                    return False
            except BaseException as error:
                await quarantine.failed(part.first_offset, part.last_offset, error)
                raise
            quarantine.succeed(partition.next_offset)
        return True

    def _is_stale(self, generation: int) -> bool:
        return self._group.is_moving or generation != self._group.generation

    async def _partition(self, tp: TP, generation: int) -> Partition | None:
        """Return the partition, restored first if its state in memory is missing or not the newest.

        None if this worker may not own it any more.
        """
        partition = self._partitions.get(tp)
        if partition is not None and partition.generation != generation:
            del self._partitions[tp]
            if await self._restoring.keep_if_newest(tp, partition, generation):
                self._partitions[tp] = partition
            else:
                partition = None
        if partition is None and not self._is_stale(generation):
            partition = await self._restoring.restore(tp, generation)
            if partition is not None:
                self._partitions[tp] = partition
        return partition

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
                await self._save(tp, partition)
            except Exception as error:
                first, last = partition.saved_offset, partition.next_offset - 1
                await partition.checkpoints.quarantine.failed(first, last, error)
                raise

    async def _save(self, tp: TP, partition: Partition) -> bool:
        """Make a checkpoint. If the partition is another worker's by now, forget it and return False."""
        try:
            await self._checkpoint(tp, partition)
        except SupersededError as superseded:
            logger.warning("%s: the state was not saved, the partition is another worker's", superseded)
            await partition.checkpoints.quarantine.withdraw()
            self._partitions.pop(tp, None)
            return False
        return True

    async def _checkpoint(self, tp: TP, partition: Partition) -> None:
        started_s = self._clock.monotonic()
        offset = partition.next_offset - 1
        fold = partition.fold
        sent, partition.sent = partition.sent, []
        await delivered(sent)
        written_bytes = await partition.checkpoints.write(offset, fold, partial(self._is_owned, tp, partition))
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
