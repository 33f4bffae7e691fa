"""What a stage holds of one partition."""

from typing import Final

from meter.kafka.records import Delivery
from meter.stage.checkpoints import Checkpoints
from meter.stage.fold import Fold

NEVER_S: Final = float("-inf")


class Partition:
    """One assigned partition: its fold, and how far it has read and saved."""

    def __init__(self, fold: Fold, checkpoints: Checkpoints, next_offset: int, generation: int, now_s: float) -> None:
        self.fold = fold
        self.checkpoints = checkpoints
        self.next_offset = next_offset
        self.saved_offset = next_offset
        self.generation = generation
        self.saved_s = now_s
        self.last_seek_s = NEVER_S
        self.sent: list[Delivery] = []
        """What has left since the last checkpoint, to be acknowledged before the next."""
        self.last_batch_s = now_s
        self.last_owned_s = now_s
        """When the group last knew that the partition is this worker's."""
