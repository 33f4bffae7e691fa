"""The intake: it collects fetched batches in which no record is missing, writes their rows, then commits the offsets.

Rows come first and offsets after them: a crash can repeat rows, which replace themselves, and cannot lose any.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

from aggregator import metrics
from aggregator.writer.findings import Findings
from schemas.delivery import Fetched, is_hole, is_quiet
from schemas.headers import Headers

MAX_ROWS: Final = 50_000
"""The number of unwritten rows from which `process` accepts no further batch until they are taken for writing."""

MAX_BYTES: Final = 64 * 1024 * 1024
"""The same bound in bytes of Kafka records, because a dead letter can be large."""

logger = logging.getLogger(__name__)


class Partition(NamedTuple):
    """A partition of a topic; equal to the Kafka client's own pair."""

    topic: str
    partition: int


class _Located(NamedTuple):
    """A record with its topic and partition, which the fetched record does not hold."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Batch(Protocol):
    """The records that one fetch brought from one partition. None from `base` to `last_offset` is missing."""

    @property
    def base(self) -> int: ...
    @property
    def last_offset(self) -> int: ...
    @property
    def records(self) -> Sequence[Fetched]: ...


class Offsets(Protocol):
    """The offsets of the consumer group, and the position of this worker in each of its partitions.

    Partitions may move to another worker during any call. For a partition that has moved, `seek` and `commit` must do
    nothing and must not raise: the intake learns of the move through `forget`.
    """

    def assigned(self) -> list[Partition]:
        """The partitions that this worker reads."""

    async def start_of(self, partition: Partition) -> int:
        """The offset at which the group goes on reading. Asked at the first batch of an assignment and when quiet."""

    async def position(self, partition: Partition) -> int | None:
        """The offset that is fetched next; None while the consumer has not chosen one."""

    async def seek(self, partition: Partition, offset: int) -> None:
        """Go on reading at `offset`. Called when records from `offset` on were fetched and dropped."""

    async def commit(self, next_offsets: Mapping[Partition, int]) -> None:
        """Make these the group's offsets. Called only after the rows of all earlier records are in ClickHouse."""


class Intake:
    """The intake of one worker, for all its partitions.

    Call `process` with each batch, in the order of the partition's offsets. Run `run` as one task for as long as the
    worker lives. Call `forget` when partitions are revoked or assigned, and `look_for_holes` every few seconds.
    """

    def __init__(
        self,
        offsets: Offsets,
        write: Callable[[Findings], Awaitable[None]],
        flush_ms: int,
        left_out: frozenset[tuple[int, int]] = frozenset(),
    ) -> None:
        """`left_out` are partition and offset of the records of the ledger that are left out."""
        self._offsets = offsets
        self._write = write
        self._flush_ms = flush_ms
        self._left_out = left_out
        self._expected: dict[Partition, int] = {}
        self.written: dict[Partition, int] = {}
        """For each partition whose start is known: the first offset whose rows are not in ClickHouse yet."""
        self._assignment = 0
        self._last_batch_s: dict[Partition, float] = {}
        self._pending = Findings(left_out=left_out)
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def forget(self) -> None:
        """Drop all unwritten records, because partitions move. The owner of each partition reads them again."""
        self._assignment += 1
        self._expected.clear()
        self._last_batch_s.clear()
        self.written.clear()
        self._empty()

    async def process(self, partition: Partition, batch: Batch) -> None:
        """Collect the new records of a batch, or seek back if records before the batch are missing.

        Waits while MAX_ROWS or MAX_BYTES are unwritten, and drops the batch if partitions move meanwhile. Does not wait
        for its own rows. Raises UnusableUpdateError.
        """
        assignment = self._assignment
        await self._room.wait()
        expected = await self._expect(partition)
        if assignment != self._assignment:
            return  # The assignment under which the batch was fetched has ended.
        self._last_batch_s[partition] = _now_s()
        if is_hole(batch.base, expected):
            await self._go_back(partition, batch.base, expected)
        else:
            self._accept(partition, batch, expected)

    async def look_for_holes(self) -> None:
        """Seek back in each quiet partition whose last batch was fetched and dropped.

        No later batch shows such a hole; the consumer's position does. Without a hole, the group's offset is checked.
        """
        if not self._room.is_set():
            return  # Fetched batches wait in `process`, so a partition without a batch need not be quiet.
        for partition in self._offsets.assigned():
            assignment = self._assignment
            quiet_s = _now_s() - self._last_batch_s.setdefault(partition, _now_s())
            # A stage of the meter needs `may_be_dropped`, because its partitions wait for each other. Here `process`
            # only collects and another task writes, so `is_quiet` is enough.
            if is_quiet(quiet_s):
                expected = await self._expect(partition)
                position = await self._offsets.position(partition)
                if position is None or assignment != self._assignment:
                    continue
                self._last_batch_s[partition] = _now_s()
                if is_hole(position, expected):
                    await self._go_back(partition, position, expected)
                else:
                    await self._commit_again(partition)

    async def _commit_again(self, partition: Partition) -> None:
        """Commit again if a late commit of an earlier assignment has set the group's offset back."""
        assignment = self._assignment
        committed = await self._offsets.start_of(partition)
        written = self.written.get(partition)
        if written is not None and committed < written and assignment == self._assignment:
            await self._offsets.commit({partition: written})

    async def _expect(self, partition: Partition) -> int:
        """The offset after the last record that was read. The next batch must not begin beyond it."""
        assignment = self._assignment
        expected = self._expected.get(partition)
        if expected is None:
            expected = await self._offsets.start_of(partition)
            if assignment == self._assignment:
                expected = self._expected.setdefault(partition, expected)
                self.written.setdefault(partition, expected)
        return expected

    async def run(self) -> None:
        """Write batches until the task is cancelled, and raise what a write raises.

        After the first batch the intake collects others for the flush time, or until MAX_ROWS or MAX_BYTES are reached.
        """
        while True:
            await self._arrived.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), self._flush_ms / 1000)
            await self._flush()

    async def _flush(self) -> None:
        assignment, pending = self._assignment, self._pending
        next_offsets = {Partition(*each): offset for each, offset in pending.next_offsets.items()}
        self._empty()
        await self._write(pending)
        # Partitions may move during each await. Their new owner starts at the last commit and writes the rows again.
        if assignment == self._assignment:
            await self._offsets.commit(next_offsets)
        if assignment == self._assignment:
            self.written.update(next_offsets)

    async def _go_back(self, partition: Partition, beyond: int, expected: int) -> None:
        # Faust drops queued batches when an assignment changes. Batches after the dropped one may still be queued. Each
        # of them ends here and seeks again, until a batch begins at or before `expected`. A stage of the meter avoids
        # the repeated seeks; here they are few and send no request to the broker.
        logger.warning("%s: expected offset %d, got %d: reading again", partition, expected, beyond)
        metrics.REFETCHES.inc()
        await self._offsets.seek(partition, expected)

    def _accept(self, partition: Partition, batch: Batch, expected: int) -> None:
        pending = self._pending
        for record in batch.records:
            if record.offset >= expected:
                found = record.offset, record.timestamp, record.key, record.value, record.headers
                pending.add(_Located(partition.topic, partition.partition, *found))
        self._expected[partition] = max(expected, batch.last_offset + 1)
        pending.next_offsets[partition] = self._expected[partition]
        self._arrived.set()
        if pending.rows >= MAX_ROWS or pending.size_bytes >= MAX_BYTES:
            self._full.set()
            self._room.clear()

    def _empty(self) -> None:
        self._pending = Findings(left_out=self._left_out)
        self._arrived.clear()
        self._full.clear()
        self._room.set()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
