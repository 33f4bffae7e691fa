"""Between the topics and ClickHouse: takes fetched batches without a hole, writes them, then moves the offsets.

ClickHouse first, offset after: a crash at any point repeats rows, which replace themselves, and loses none.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

import msgspec

from aggregator import metrics
from aggregator.core.records import Record, read_comparison, read_ledger_update, read_letter
from aggregator.writer.sink import Findings
from schemas.delivery import Fetched, is_hole, is_quiet
from schemas.topics import DEAD_LETTERS, EVENT_COUNTS, LEDGER

MAX_ROWS: Final = 50_000
"""Rows that wait at most; then whoever reads the topics waits."""

MAX_BYTES: Final = 64 * 1024 * 1024
"""The same in bytes of Kafka values: a dead letter can be large."""

logger = logging.getLogger(__name__)


class Partition(NamedTuple):
    """A partition of a topic; equal to the Kafka client's own pair."""

    topic: str
    partition: int


class _Located(NamedTuple):
    """A record with its place, which only its batch knew."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


def _located(record: Fetched, partition: Partition) -> _Located:
    return _Located(*partition, record.offset, record.timestamp, record.key, record.value, record.headers)


class Batch(Protocol):
    """What one fetch brought from one partition. No record from `base` to `last_offset` is missing."""

    @property
    def base(self) -> int: ...
    @property
    def last_offset(self) -> int: ...
    @property
    def records(self) -> Sequence[Fetched]: ...


class Offsets(Protocol):
    """The group's offsets and this worker's place in a partition."""

    def assigned(self) -> list[Partition]:
        """The partitions that this worker reads."""

    async def start_of(self, partition: Partition) -> int:
        """The first offset that the group has not committed yet."""

    async def position(self, partition: Partition) -> int | None:
        """The offset that is fetched next; None while that is not settled."""

    async def seek(self, partition: Partition, offset: int) -> None:
        """Goes on reading at `offset`."""

    async def commit(self, next_offsets: Mapping[Partition, int]) -> None:
        """Makes these the group's; silently leaves out partitions that are no longer this worker's."""


class _Waiting(msgspec.Struct):
    """Read, and not yet written."""

    findings: Findings
    next_offsets: dict[Partition, int]
    rows: int = 0
    size_bytes: int = 0


def _nothing() -> _Waiting:
    return _Waiting(Findings([], []), {})


class Intake:
    """One for all partitions of a worker. `take` each batch, `run` once, `forget` whenever partitions move, and
    `look_for_holes` now and then.

    `partitions` is how many each topic has.
    """

    def __init__(
        self, offsets: Offsets, write: Callable[[Findings], Awaitable[None]], flush_ms: int, partitions: int
    ) -> None:
        self._offsets = offsets
        self._write = write
        self._flush_ms = flush_ms
        self._partitions = partitions
        self._expected: dict[Partition, int] = {}
        self.written: dict[Partition, int] = {}
        """Of each partition that this worker reads, the first offset that is not in ClickHouse yet."""
        self._assignment = 0
        self._last_batch_s: dict[Partition, float] = {}
        self._waiting = _nothing()
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def forget(self) -> None:
        """Partitions were revoked or assigned: what is not written yet is read again by whoever owns it now."""
        self._assignment += 1
        self._expected.clear()
        self._last_batch_s.clear()
        self.written.clear()
        self._empty()

    async def process(self, partition: Partition, batch: Batch) -> None:
        """Takes what is new of the batch, or goes back if records before it are missing. Waits while too much waits."""
        assignment = self._assignment
        await self._room.wait()
        expected = await self._expect(partition)
        if assignment != self._assignment:
            return  # A batch of an assignment that is over.
        self._last_batch_s[partition] = _now_s()
        if is_hole(batch.base, expected):
            await self._go_back(partition, batch.base, expected)
        else:
            self._accept(partition, batch, expected)

    async def look_for_holes(self) -> None:
        """Goes back where a partition's last batch was fetched and dropped: no later one will come and show it. Where
        there is no hole, sees that the group's offset is where it should be.
        """
        if not self._room.is_set():
            return  # What was fetched waits for room.
        for partition in self._offsets.assigned():
            assignment = self._assignment
            quiet_s = _now_s() - self._last_batch_s.setdefault(partition, _now_s())
            # Unlike a stage of the meter, other partitions' batches keep none waiting: what is taken is put aside, and
            # another task writes it.
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
        """Where the group stands behind what is written: a commit of an assignment that is over came in last of all."""
        assignment = self._assignment
        committed = await self._offsets.start_of(partition)
        written = self.written.get(partition)
        if written is not None and committed < written and assignment == self._assignment:
            await self._offsets.commit({partition: written})

    async def _expect(self, partition: Partition) -> int:
        """The offset that the next batch has to begin at, or before."""
        assignment = self._assignment
        expected = self._expected.get(partition)
        if expected is None:
            expected = await self._offsets.start_of(partition)
            if assignment == self._assignment:
                expected = self._expected.setdefault(partition, expected)
                self.written.setdefault(partition, expected)
        return expected

    async def run(self) -> None:
        """Writes for ever. A batch waits at most the flush time for others, less once much has come together."""
        while True:
            await self._arrived.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), self._flush_ms / 1000)
            await self._flush()

    async def _flush(self) -> None:
        assignment, waiting = self._assignment, self._waiting
        self._empty()
        await self._write(waiting.findings)
        if assignment == self._assignment:
            await self._offsets.commit(waiting.next_offsets)
        if assignment == self._assignment:
            self.written.update(waiting.next_offsets)

    async def _go_back(self, partition: Partition, beyond: int, expected: int) -> None:
        # Faust drops queued batches when an assignment changes. Later batches of the hole may still be queued; each
        # ends here too, until the one that begins at or before what is expected. Each seeks again, unlike in a stage of
        # the meter: these are a few batches at most, and nothing is asked of the broker.
        logger.warning("%s: expected offset %d, got %d: reading again", partition, expected, beyond)
        metrics.REFETCHES.inc()
        await self._offsets.seek(partition, expected)

    def _accept(self, partition: Partition, batch: Batch, expected: int) -> None:
        waiting = self._waiting
        for record in batch.records:
            if record.offset >= expected:
                _read(_located(record, partition), waiting, self._partitions)
        self._expected[partition] = max(expected, batch.last_offset + 1)
        waiting.next_offsets[partition] = self._expected[partition]
        self._arrived.set()
        if waiting.rows >= MAX_ROWS or waiting.size_bytes >= MAX_BYTES:
            self._full.set()
            self._room.clear()

    def _empty(self) -> None:
        self._waiting = _nothing()
        self._arrived.clear()
        self._full.clear()
        self._room.set()


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _read(record: Record, waiting: _Waiting, partitions: int) -> None:
    if record.topic == LEDGER.name:
        update = read_ledger_update(record)
        waiting.findings.updates.append(update)
        waiting.rows += len(update.entries) + len(update.conversations) + len(update.usage) + 1
    elif record.topic == EVENT_COUNTS.name:
        comparison = read_comparison(record, partitions)
        waiting.findings.comparisons += [comparison] if comparison else []
        waiting.rows += 1
    else:
        assert record.topic == DEAD_LETTERS.name, record.topic
        waiting.findings.letters.append(read_letter(record))
        waiting.rows += 1
    waiting.size_bytes += len(record.value or b"")
