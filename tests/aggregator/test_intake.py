"""Batches from partitions, offsets back: nothing skipped, nothing committed before it is written."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import msgspec
import pytest

from aggregator.core.records import UnusableUpdateError
from aggregator.writer import intake as module
from aggregator.writer.findings import Findings
from aggregator.writer.intake import Intake, Partition
from schemas.ledger import encode_ledger_update
from tests.aggregator.facts import update
from tests.aggregator.test_dead_letters import Record

LEDGER = Partition("ledger", 1)


class Batch(msgspec.Struct, frozen=True):
    """Records `base` to `last_offset` of the ledger, each an update whose version is its offset."""

    base: int
    last_offset: int

    @property
    def records(self) -> Sequence[Record]:
        offsets = range(self.base, self.last_offset + 1)
        return [Record(value=encode_ledger_update(update(offset)), offset=offset, topic="ledger") for offset in offsets]


class World:
    """Kafka's side and ClickHouse's side of an intake, and the order in which it spoke to them."""

    def __init__(self, committed: int = 0) -> None:
        self.committed = committed
        self.position_at: int | None = None
        self.events: list[tuple[str, object]] = []
        self.spoke = asyncio.Event()
        self.clickhouse_answers = asyncio.Event()
        self.clickhouse_answers.set()
        self.writing = asyncio.Event()
        self.intake = Intake(self, self.write, flush_ms=10)

    def assigned(self) -> list[Partition]:
        return [LEDGER]

    async def position(self, partition: Partition) -> int | None:
        assert partition == LEDGER
        return self.position_at

    async def start_of(self, partition: Partition) -> int:
        assert partition == LEDGER
        return self.committed

    async def seek(self, partition: Partition, offset: int) -> None:
        assert partition == LEDGER
        self._tell("seek", offset)

    async def commit(self, next_offsets: Mapping[Partition, int]) -> None:
        self.committed = next_offsets[LEDGER]
        self._tell("commit", self.committed)

    async def write(self, findings: Findings) -> None:
        self.writing.set()
        await self.clickhouse_answers.wait()
        self._tell("write", [written.version for written in findings.updates])

    def _tell(self, what: str, of: object) -> None:
        self.events.append((what, of))
        self.spoke.set()

    async def process(self, base: int, last_offset: int) -> None:
        await self.intake.process(LEDGER, Batch(base, last_offset))

    async def told(self, count: int) -> list[tuple[str, object]]:
        """The first `count` events, once there are so many."""
        async with asyncio.timeout(5):
            while len(self.events) < count:
                self.spoke.clear()
                await self.spoke.wait()
        return self.events


@asynccontextmanager
async def running(world: World) -> AsyncIterator[World]:
    task = asyncio.create_task(world.intake.run())
    yield world
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_offset_follows_the_rows() -> None:
    """ClickHouse first, offset after; batches that come close together are one insert."""
    async with running(World()) as world:
        await world.process(0, 1)
        await world.process(2, 3)
        assert await world.told(2) == [("write", [0, 1, 2, 3]), ("commit", 4)]
        assert world.intake.written == {LEDGER: 4}


async def test_nothing_is_committed_while_clickhouse_is_away() -> None:
    """A stalled insert holds the offset back."""
    async with running(World()) as world:
        world.clickhouse_answers.clear()
        await world.process(0, 1)
        await world.writing.wait()
        assert world.events == []
        world.clickhouse_answers.set()
        assert await world.told(2) == [("write", [0, 1]), ("commit", 2)]


async def test_hole_is_read_again() -> None:
    """Records that were dropped between fetch and agent are fetched again; what lies behind the hole waits for them."""
    async with running(World(committed=3)) as world:
        await world.process(5, 6)
        await world.process(7, 8)
        assert world.events == [("seek", 3), ("seek", 3)]
        await world.process(3, 6)
        assert await world.told(4) == [("seek", 3), ("seek", 3), ("write", [3, 4, 5, 6]), ("commit", 7)]


async def test_hole_at_the_end_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last batch of all was dropped, so no later one shows it; the place of a quiet consumer does."""
    monkeypatch.setattr("schemas.delivery.QUIET_S", -1.0)
    async with running(World(committed=3)) as world:
        for position in (None, 3):
            world.position_at = position
            await world.intake.look_for_holes()
        assert world.events == []
        world.position_at = 5
        await world.intake.look_for_holes()
        await world.process(3, 4)
        assert await world.told(3) == [("seek", 3), ("write", [3, 4]), ("commit", 5)]
        await world.intake.look_for_holes()
        assert world.events[3:] == []


async def test_a_late_commit_of_an_old_assignment_is_made_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """It moved the group's offset back after all was written; no batch is to come that would move it on again."""
    monkeypatch.setattr("schemas.delivery.QUIET_S", -1.0)
    async with running(World()) as world:
        await world.process(0, 4)
        assert await world.told(2) == [("write", [0, 1, 2, 3, 4]), ("commit", 5)]
        world.position_at = 5
        await world.intake.look_for_holes()
        world.committed = 3
        await world.intake.look_for_holes()
        assert world.events[2:] == [("commit", 5)]


async def test_records_already_read_are_skipped() -> None:
    """A fetch that begins before what is expected adds only what is new."""
    async with running(World(committed=2)) as world:
        await world.process(0, 3)
        await world.process(1, 4)
        await world.process(0, 2)
        assert await world.told(2) == [("write", [2, 3, 4]), ("commit", 5)]


async def test_new_assignment_begins_at_the_committed_offset() -> None:
    """What was read and not written when partitions moved is dropped, and read again by its new owner."""
    async with running(World()) as world:
        await world.process(0, 5)
        world.intake.forget()
        await world.process(6, 7)
        assert world.events == [("seek", 0)]
        await world.process(0, 7)
        assert await world.told(3) == [("seek", 0), ("write", list(range(8))), ("commit", 8)]


async def test_rows_of_an_old_assignment_commit_nothing() -> None:
    """An insert that ends after partitions moved is harmless, and moves no offset of the new owner."""
    async with running(World()) as world:
        world.clickhouse_answers.clear()
        await world.process(0, 1)
        await world.writing.wait()
        world.intake.forget()
        world.clickhouse_answers.set()
        await asyncio.sleep(0.05)
        assert world.events == [("write", [0, 1])]
        assert world.intake.written == {}


async def test_reader_waits_while_much_is_unwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded: beyond the limit a batch is not taken until ClickHouse has what came before."""
    monkeypatch.setattr(module, "MAX_ROWS", 4)
    async with running(World()) as world:
        world.clickhouse_answers.clear()
        await world.process(0, 3)  # Full; the writer takes it at once and waits for ClickHouse.
        await world.writing.wait()
        await world.process(4, 7)  # Full again.
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(world.process(8, 9), 0.05)
        world.clickhouse_answers.set()
        await world.process(8, 9)
        assert (await world.told(6))[-1] == ("commit", 10)


async def test_record_that_is_no_ledger_update_is_not_skipped() -> None:
    """A broken ledger record surfaces as an error, and no offset passes it."""

    class Junk(Batch, frozen=True):
        @property
        def records(self) -> Sequence[Record]:
            return [Record(value=b"junk", offset=0, topic="ledger")]

    async with running(World()) as world:
        with pytest.raises(UnusableUpdateError):
            await world.intake.process(LEDGER, Junk(0, 0))
        await asyncio.sleep(0.05)
        assert world.committed == 0
