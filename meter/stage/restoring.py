"""Restoring the partitions of a stage, and checking that this worker may go on with what it finds."""

import logging
from collections.abc import Awaitable, Callable

from faust.types import TP

from meter import metrics
from meter.kafka.topics import delivered
from meter.stage.checkpoints import Checkpoints
from meter.stage.fold import MakeFold
from meter.stage.lives import (
    check_count,
    check_epoch,
    check_life,
    check_offsets,
    check_partitions,
    check_state_is_there,
)
from meter.stage.mark import Life
from meter.stage.outputs import send
from meter.stage.partition import Partition
from meter.stage.ports import Clock, Group, Topics
from meter.stage.refusals import RefusalError
from schemas.topics import Topic

logger = logging.getLogger(__name__)

IsStale = Callable[[int], bool]
"""Whether partitions have moved since the given generation of the group."""

Save = Callable[[TP, Partition], Awaitable[bool]]
"""Makes a checkpoint of a partition. Returns False if the partition is another worker's."""


class Restoring:
    """Restores the partitions of one stage from its topic `state`. Raises RefusalError where it must not go on."""

    def __init__(
        self,
        topics: Topics,
        group: Group,
        source: Topic,
        state: Topic,
        make_fold: MakeFold,
        clock: Clock,
        is_stale: IsStale,
        save: Save,
    ) -> None:
        self._topics = topics
        self._group = group
        self._source = source
        self._state = state
        self._make_fold = make_fold
        self._clock = clock
        self._is_stale = is_stale
        self._save = save
        self._first: Life | None = None
        """The life that the topics had at the first restore."""

    async def restore(self, tp: TP, generation: int) -> Partition | None:
        """Return the partition as its newest checkpoint has it. None if this worker may not own it any more.

        A slow restore is then dropped: a later owner may have removed records, and compaction deleted them, before they
        were read.
        """
        life = await self._life()
        checkpoints = Checkpoints(self._topics, self._source, self._state, tp.partition, life)
        fold = self._make_fold(tp.partition, life.source.partitions)
        started_s = self._clock.monotonic()
        restored = await checkpoints.restore(fold)
        metrics.RESTORE_SECONDS.observe(self._clock.monotonic() - started_s)
        next_offset = await self._next_offset(tp, restored.offset, checkpoints.epoch)
        now_s = self._clock.monotonic()
        if not await self._group.commit(tp, next_offset) or self._is_stale(generation):
            return None
        logger.info("%s: restored %d blocks, going on at %d", tp, restored.blocks, next_offset)
        fold.begin(checkpoints.life)
        if restored.offset >= 0:
            # A crash may have come between the mark and the outputs that follow it.
            await delivered(await send(self._topics, fold.confirm(restored.offset)))
        return Partition(fold, checkpoints, next_offset, generation, now_s)

    async def _life(self) -> Life:
        """Return the life of both topics as the brokers have it now, with generation 0."""
        source = await self._topics.identity(self._source.name)
        life = Life(0, source, await self._topics.identity(self._state.name))
        check_partitions(self._source, self._state, life)
        # A partition that was added has no mark to compare with. The worker has compared the layout when it started.
        self._first = self._first or life
        check_count(self._source, self._first, life)
        return life

    async def _next_offset(self, tp: TP, saved: int, epoch: int) -> int:
        """Return where to go on after a checkpoint as of offset `saved`, -1 if there is none, in a leader epoch."""
        beginning = await self._group.beginning(tp)
        if saved < 0:
            check_state_is_there(tp, self._state, beginning, await self._group.committed(tp))
            return beginning
        await self._check_log(tp, saved + 1, epoch, beginning)
        return saved + 1

    async def _check_log(self, tp: TP, next_offset: int, epoch: int, beginning: int = 0) -> None:
        """Check that the log holds what was read before `next_offset`, and goes on there."""
        check_offsets(tp, next_offset, beginning, await self._topics.end(tp.topic, tp.partition))
        check_epoch(tp, next_offset, await self._topics.end_of_epoch(tp.topic, tp.partition, epoch))

    async def keep_if_newest(self, tp: TP, partition: Partition, generation: int) -> bool:
        """Whether the partition's state in memory is the newest: no other worker has written state meanwhile."""
        check_life(self._source, self._state, partition.checkpoints.life, await self._life())
        if not await partition.checkpoints.are_the_newest():
            return False
        now_s = self._clock.monotonic()
        if not await self._group.commit(tp, partition.saved_offset) or self._is_stale(generation):
            return False
        partition.generation = generation
        partition.last_owned_s = now_s
        await self._check_log_again(tp, partition)
        return True

    async def check_again(self, tp: TP, partition: Partition) -> None:
        """Check that the topics are still those that the partition was restored with, and hold what was processed."""
        check_life(self._source, self._state, partition.checkpoints.life, await self._life())
        await self._check_log_again(tp, partition)

    async def _check_log_again(self, tp: TP, partition: Partition) -> None:
        """Check the log. Before a refusal, save what was processed: its outputs are sent, though its records are lost.

        So the next start refuses too, and `accept-loss` reads the new records at their offsets.
        """
        try:
            await self._check_log(tp, partition.next_offset, partition.checkpoints.epoch)
        except RefusalError:
            if partition.next_offset > partition.saved_offset:
                await self._save(tp, partition)
            raise
