"""The protocols of what a stage runs: `State`, which checkpoints save and restore, and `Fold`, which processes records.

A stage owns one fold for each partition assigned to it, and calls its methods in this order, never two at a time:

1. `load` for each block of the newest complete checkpoint, if there is one; then `finish` and `begin` once, in any
   case.
2. `confirm`, if there was a checkpoint.
3. `process` for each batch, `leave_out` for a record that is left out, and `idle` while no batch arrives.
4. For each checkpoint: `changed` once, `sweep` any number of times, `mark` once, `confirm` once. Then 3 again.
   If another worker may own the partition by then, `mark` and `confirm` are not called, and the fold is dropped.

A fold is never repaired. An exception from any of its methods ends the process, and the next owner of the partition
restores the newest complete checkpoint into a new fold.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from meter.kafka.fetched import Fetched
from meter.kafka.records import Record, Records
from meter.stage.mark import Life
from schemas.topics import Topic


class Output(NamedTuple):
    """Records to write to `topic`, each to the partition of its key.

    Where `partition` is set, all `records`, which then are a list, go to that partition.
    """

    topic: Topic
    records: Records
    partition: int | None = None


class State(Protocol):
    """The state of one partition as checkpoints see it: entries of (key, value), and one mark.

    Entries travel in blocks (`meter/stage/blocks.py`). `meter/stage/checkpoints.py` is the only caller.
    """

    spills: bool
    """Whether the state may be larger than memory. Read before the first `load`.

    If it is set, a restore reads the state topic twice and keeps no block in memory. Then `load` must not keep
    blocks either.
    """

    def changed(self) -> Iterable[bytes]:
        """Return blocks with every entry that was added, changed or ended since the last call.

        Called first in each checkpoint, and read to its end before any other method is called. An ended entry must be
        in it as a key without a value: without that, a restore would bring the entry back from an older block. The call
        forgets what it returns, so a checkpoint that fails afterwards makes the state unusable.
        """

    def sweep(self, size_bytes: int) -> tuple[bytes, bool]:
        """Return a block of the next entries, changed or not, and whether the sweep ends with it.

        Called after `changed`, in each checkpoint, until enough bytes are written. A sweep lasts for many checkpoints;
        the call after its end begins the next one. The block has `size_bytes` or little more; it may be empty.

        Every entry present for the whole sweep is written; one added during it may wait for the next. The caller
        relies on it: when a sweep ends, all blocks written before it began are removed.
        """

    def mark(self) -> bytes:
        """Return the part of the state that is not entries, such as counts. Every checkpoint holds all of it.

        Called after `changed` and `sweep`, as of the same input offset, and only while the worker still owns the
        partition.
        """

    def load(self, offset: int, block: bytes) -> None:
        """Take the entries of a block that was written as of input `offset`.

        Called while restoring, before `finish`; never later. Blocks come in any order. Of a key the entry with the
        highest offset counts, so nothing may be derived from an entry yet. Raises ValueError where the block cannot be
        read.
        """

    def finish(self, mark: bytes | None, floor: int) -> None:
        """Begin with what was loaded. Called once, after the last `load` and before the first `process`.

        `mark` is that of the newest complete checkpoint; None if there is none, and then nothing was loaded. Entries as
        of offset `floor` or before do not count: a sweep has replaced them. Raises ValueError where the mark cannot be
        read or the entries contradict it.
        """


class Fold(State, Protocol):
    """The state of one partition and the rules that its records follow. `meter/stage/stage.py` is the caller.

    The entries and the mark must follow from the records and their offsets alone: not from a clock, from where batches
    are cut, or from restarts. After a crash the same records are processed again, perhaps in other batches. The outputs
    then have to say the same things under the same ids, so that readers recognise repeats.
    """

    @property
    def is_full(self) -> bool:
        """Whether memory is full of entries that only a checkpoint can release.

        Read after each batch and at each periodic run. If it is set, the stage makes the checkpoint before its time.
        """

    def process(self, records: Sequence[Fetched]) -> Iterable[Output]:
        """Process a batch and return the records it causes.

        `records` is not empty. Its offsets ascend and are above every offset processed before. The result is read to
        its end, and sent in its order, before any other method is called: that is before the checkpoint that covers the
        batch, and after a crash it is sent again. So it must not hold a statement that is true only once the state is
        saved: that belongs to `confirm`.
        """

    def begin(self, life: Life) -> None:
        """Take the life of the topics: their partitions and their generation. Called once, before all that follows."""

    def leave_out(self, record: Fetched, reason: str) -> Iterable[Output]:
        """Refuse a record without looking at its value: workers ended while they processed it.

        Called instead of `process` for the record, in the order of offsets. Returns its dead letter, with the code
        `internal` and `reason`. Must count it as a refused record.
        """

    def confirm(self, offset: int) -> Iterable[Output]:
        """Return the records that may be written only after the checkpoint as of input `offset` is complete.

        Called after each checkpoint, when the broker has acknowledged the mark, and before the group's offset is
        committed. Called after a restore too, because a crash may have come between the mark and these records; so they
        may be written twice. Must not change the entries or the mark.
        """

    def idle(self, now_ms: int) -> list[Record]:
        """Return records for the fold's own source topic, to move its event time while nothing arrives.

        Called when the partition has brought no record for 30 seconds, and every 30 seconds from then on; `now_ms` is
        the wall clock in milliseconds since 1970. Must not change the state: the records come back through `process`,
        so a replay sees the same input.
        """


MakeFold = Callable[[int, int], Fold]
"""(partition, number of partitions of the source topic) -> a fold without state.

A stage restores it before use; a test may use it as it is.
"""
