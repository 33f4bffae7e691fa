"""The reader of one outlet, with a consumer in memory: what it pauses, commits, and leaves to the next owner."""

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError

from meter.notify import reading
from meter.notify.deliverer import Deliverer
from meter.notify.reading import NoticeReader
from meter.settings import load
from schemas.instants import DAY_MS
from schemas.notices import encode_notice
from tests.notify.fakes import WRITTEN_MS, MemoryTopics, ScriptedOutlet, notice, receipts_on

PARTITION = TopicPartition("notices", 0)


class MemoryConsumer:
    """A consumer that gives out what it was given, and remembers what was asked of it."""

    def __init__(self, **_: Any) -> None:
        self.batches: list[list[Any]] = []
        self.commits: list[dict[TopicPartition, int]] = []
        self.halted: set[TopicPartition] = set()
        self.fails = False

    async def getmany(self, **_: Any) -> dict[TopicPartition, list[Any]]:
        await asyncio.sleep(0)
        if self.halted or not self.batches:
            return {}
        return {PARTITION: self.batches.pop(0)}

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        if self.fails:
            raise CommitFailedError
        self.commits.append(dict(offsets))

    def paused(self) -> set[TopicPartition]:
        return set(self.halted)

    def pause(self, *partitions: TopicPartition) -> None:
        self.halted |= set(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self.halted -= set(partitions)

    def highwater(self, _: TopicPartition) -> int:
        return 100


class Record:
    """A record on notices."""

    partition = 0
    timestamp = WRITTEN_MS
    headers = ()

    def __init__(self, offset: int, value: bytes | None = None) -> None:
        self.offset = offset
        self.value = encode_notice(notice(f"n-{offset}")) if value is None else value


class Setup:
    """A reader with its parts, after an assignment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reading, "AIOKafkaConsumer", MemoryConsumer)
        self.topics = MemoryTopics()
        self.outlet = ScriptedOutlet()
        receipts = receipts_on(self.topics)
        self.deliverer = Deliverer(self.outlet, receipts, retry_s=60, max_age_ms=DAY_MS)
        self.reader = NoticeReader(load({}), self.deliverer, receipts)
        self.consumer: Any = self.reader._consumer
        self.stop = asyncio.Event()
        self.reader.begin()

    def run(self) -> asyncio.Task[None]:
        """Let the reader run."""
        return asyncio.create_task(self.reader.run(self.stop))

    async def until_committed(self, offset: int) -> None:
        """Wait until this offset is committed."""
        async with asyncio.timeout(10):
            while {PARTITION: offset} not in self.consumer.commits:  # noqa: ASYNC110
                await asyncio.sleep(0)


async def test_offsets_are_committed_behind_what_is_done_only(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = Setup(monkeypatch)
    setup.outlet.hold = True
    setup.consumer.batches = [[Record(5), Record(6, b"junk"), Record(7)]]
    task = setup.run()
    await setup.outlet.begun.get()
    await setup.outlet.begun.get()
    assert setup.consumer.commits == []
    setup.outlet.go.set()
    await setup.until_committed(8)
    setup.stop.set()
    await task
    assert [each.notice_id for each in setup.topics.receipts() if each.status == "failed"] == ["notices/0/6"]


async def test_a_commit_that_fails_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = Setup(monkeypatch)
    setup.consumer.fails = True
    setup.consumer.batches = [[Record(0)]]
    task = setup.run()
    for _ in range(2):
        await setup.topics.appended.get()
    setup.consumer.fails = False
    await setup.until_committed(1)
    setup.stop.set()
    await task


@pytest.mark.parametrize(("bound", "value"), [("MAX_BYTES", 10)])
async def test_no_further_notice_is_read_while_there_is_no_room(
    monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    setup = Setup(monkeypatch)
    monkeypatch.setattr(reading, bound, value)
    setup.outlet.hold = True
    setup.consumer.batches = [[Record(0)], [Record(1)]]
    task = setup.run()
    await setup.outlet.begun.get()
    for _ in range(50):
        await asyncio.sleep(0)
    assert (len(setup.outlet.attempts), setup.consumer.halted) == (1, {PARTITION})
    setup.outlet.go.set()
    await setup.until_committed(2)
    setup.stop.set()
    await task


async def test_partitions_go_after_attempts_have_ended_and_what_was_fetched_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next owner begins with the first notice that is not done."""
    setup = Setup(monkeypatch)
    setup.outlet.slots = 1
    setup.deliverer._slots = asyncio.Semaphore(1)
    setup.outlet.hold = True
    setup.consumer.batches = [[Record(0), Record(1)]]
    task = setup.run()
    await setup.outlet.begun.get()
    release = asyncio.create_task(setup.reader.release())
    await asyncio.sleep(0)
    setup.consumer.batches = [[Record(2)]]
    for _ in range(20):
        await asyncio.sleep(0)
    assert not release.done()
    setup.outlet.go.set()
    await release
    assert setup.consumer.commits == [{PARTITION: 1}]
    assert setup.outlet.sent == [("n-0", "mia@example.com")]
    setup.consumer.batches = [[Record(7)]]
    while setup.consumer.batches:  # noqa: ASYNC110 # The reader takes it, and must not keep it.
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    setup.reader.begin()
    setup.consumer.batches = [[Record(1), Record(2)]]
    await setup.until_committed(3)
    setup.stop.set()
    await task


async def test_receipts_are_read_again_at_each_assignment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may have sent a notice meanwhile, and not committed."""
    setup = Setup(monkeypatch)
    other = Setup(monkeypatch)
    other.topics.records = setup.topics.records
    other.consumer.batches = [[Record(0)]]
    first = other.run()
    await other.until_committed(1)
    other.stop.set()
    await first
    setup.consumer.batches = [[Record(0)]]
    task = setup.run()
    await setup.until_committed(1)
    assert setup.outlet.attempts == []
    setup.stop.set()
    await task


async def test_a_bug_of_ours_ends_the_reader_and_commits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = Setup(monkeypatch)

    async def broken(_: Any) -> None:
        raise AssertionError("bug")

    monkeypatch.setattr(setup.deliverer, "deliver", broken)
    setup.consumer.batches = [[Record(0)]]
    with pytest.raises(AssertionError, match="bug"):
        await setup.run()
    assert setup.consumer.commits == []
