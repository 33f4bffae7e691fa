"""The assigned partitions of a stage, as it keeps them between batches."""

import asyncio
from types import TracebackType
from typing import Final

from faust.types import TP

from meter.kafka.epochs import UNKNOWN
from meter.kafka.fetched import Batch
from meter.kafka.records import Delivery
from meter.stage.checkpoints import Checkpoints
from meter.stage.fold import Fold

NEVER_S: Final = float("-inf")


class Partition:
    """One assigned partition: its fold, and how far it has read and saved. Times are seconds of the monotonic clock."""

    def __init__(self, fold: Fold, checkpoints: Checkpoints, next_offset: int, generation: int, now_s: float) -> None:
        self.fold = fold
        self.checkpoints = checkpoints
        self.next_offset = next_offset
        """The offset after the last record that the fold has processed."""
        self.saved_offset = next_offset
        """The offset after the last record that a complete checkpoint includes."""
        self.generation = generation
        """The group's generation under which the partition was restored, or was last found to have the newest state."""
        self.saved_s = now_s
        """When the last checkpoint was completed, or the partition restored."""
        self.last_seek_s = NEVER_S
        """When the stage last asked for missing records again."""
        self.sent: list[Delivery] = []
        """Outputs sent since the last checkpoint. The next checkpoint waits until the broker has acknowledged them."""
        self.last_batch_s = now_s
        """When a batch was last processed, with or without records, or `Fold.idle` was last called."""
        self.last_records_s = now_s
        """When records were last processed, or `Fold.idle` was last called because none came."""
        self.last_owned_s = now_s
        """When this worker last sent a commit that the group accepted. It owned the partition at that time."""

    def is_of_another_epoch(self, batch: Batch) -> bool:
        """Whether a batch comes from another leader epoch than the one before, as far as both are known."""
        return self.checkpoints.epoch not in (UNKNOWN, batch.epoch)


class Partitions(dict[TP, Partition]):
    """The partitions that a stage has restored. A stage uses them inside `async with`, one caller at a time.

    A caller that is cancelled, as Faust does when a worker stops, may leave a partition half changed: records that are
    processed and not counted as read, or changes that are forgotten and not written. A checkpoint of that would be
    wrong. So all partitions are forgotten then, and restored if one is needed again.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> None:
        await self._lock.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.clear()
        self._lock.release()
