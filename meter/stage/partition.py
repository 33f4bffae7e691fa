"""What a stage holds of one partition."""

from typing import Final

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
        """The group's generation under which this worker last proved that it owns the partition."""
        self.saved_s = now_s
        """When the last checkpoint was completed, or the partition restored."""
        self.last_seek_s = NEVER_S
        """When the stage last asked for missing records again."""
        self.sent: list[Delivery] = []
        """Outputs sent since the last checkpoint. The next checkpoint waits until the broker has acknowledged them."""
        self.last_batch_s = now_s
        """When a batch last came, or `idle` was last called because none did."""
        self.last_owned_s = now_s
        """When this worker last asked the group to accept an offset, and it did: the partition was its own then."""
