"""Holes: records that were fetched and dropped before they reached the stage, so that it has to read them again."""

import logging
from typing import Final

from faust.types import TP

from meter import metrics
from meter.stage.partition import Partition
from meter.stage.ports import Clock, Group
from meter.stage.refusals import LostRecordsError
from schemas.delivery import is_hole, may_be_dropped

logger = logging.getLogger(__name__)

SEEK_AGAIN_S: Final = 5.0  # The shortest time between two seeks: batches beyond the hole still arrive after the first.


class Holes:
    """Finds the holes of the partitions of one stage, and has them read again."""

    def __init__(self, group: Group, clock: Clock) -> None:
        self._group = group
        self._clock = clock

    async def go_back(self, tp: TP, partition: Partition) -> None:
        """Fetch again a batch that Faust dropped. Until it comes, batches beyond the hole are ignored.

        Raises LostRecordsError if the broker does not have the records any more.
        """
        now_s = self._clock.monotonic()
        if now_s - partition.last_seek_s > SEEK_AGAIN_S:
            partition.last_seek_s = now_s
            beginning = await self._group.beginning(tp)
            if beginning > partition.next_offset:
                raise LostRecordsError.between(tp, partition.next_offset, beginning)
            metrics.REFETCHES.inc()
            logger.warning("%s: a hole, reading again from %d", tp, partition.next_offset)
            await self._group.seek(tp, partition.next_offset)

    async def look(self, tp: TP, partition: Partition, last_processed_s: float) -> None:
        """Find a hole at the end of the log. No batch follows that would show it; the consumer's position does.

        `last_processed_s` is when the stage last processed a batch of any partition: all of them share one lock, so a
        batch of this partition may be waiting while others are processed.
        """
        now_s = self._clock.monotonic()
        if may_be_dropped(now_s - partition.last_batch_s, now_s - last_processed_s):
            position = await self._group.position(tp)
            if position is not None and is_hole(position, partition.next_offset):
                await self.go_back(tp, partition)
