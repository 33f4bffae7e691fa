"""The batch transport's own bookkeeping: what a fetch began at, and what becomes of what was fetched."""

import asyncio
import gc
import weakref
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.errors import ConsumerStoppedError, CorruptRecordException
from faust.types import TP

from meter.kafka.fetched import Batch, KeptRecords
from meter.kafka.records import Record
from meter.kafka.transport import (
    BUSY_WAIT_MS,
    FETCH_WAIT_MS,
    FULL_S,
    TIMEOUT_S,
    Consumer,
    ConsumerThread,
    FetchRead,
    records_of_fetch,
)
from tests.kafka_batches import marker, one_batch
from tests.properties.memory_log import stored

ONE, TWO = TP("t", 1), TP("t", 2)


def records(tp: TP, *offsets: int) -> FetchRead:
    found = [stored(tp.topic, tp.partition, offset, Record(None, b"{}"), timestamp=5_000) for offset in offsets]
    return FetchRead(found, offsets[-1])


class Fetcher:
    """What aiokafka's fetcher shows of itself: positions by partition, and what it would hand over."""

    def __init__(self, positions: dict[TP, int | None], ready: dict[TP, FetchRead]) -> None:
        self._closed = False
        self._ready = ready
        self._records: dict[TP, object] = {}
        self.positions = positions
        self._fetch_max_wait_ms = 0
        self.asked: list[frozenset[TP]] = []
        states = {
            tp: SimpleNamespace(_position=position, has_valid_position=position is not None)
            for tp, position in positions.items()
        }
        assignment = SimpleNamespace(tps=set(states), state_value=states.get)
        self._subscriptions: Any = SimpleNamespace(
            reassignment_in_progress=False, subscription=SimpleNamespace(assignment=assignment), fetch_context=Context
        )

    async def fetched_records(
        self,
        partitions: frozenset[TP],
        timeout: int,  # noqa: ASYNC109 - aiokafka's signature
    ) -> dict[TP, FetchRead]:
        assert timeout == 0
        self.asked.append(partitions)
        return {tp: found for tp, found in self._ready.items() if tp in partitions}

    def _create_fetch_waiter(self) -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()


class Context:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


async def fetch(fetcher: Fetcher, active: set[TP], *, flow: bool = True, closed: bool = False) -> dict[TP, Any]:
    """One fetch of a consumer thread around `fetcher`."""
    thread = object.__new__(ConsumerThread)
    thread.__dict__["consumer"] = SimpleNamespace(flow_active=flow)
    consumer = SimpleNamespace(_fetcher=fetcher, _closed=closed, assignment=lambda: set(fetcher.positions))
    return dict(await thread._fetch_records(consumer, active))


async def test_a_batch_says_where_its_fetch_began() -> None:
    """Not where its first record lies: what is between was never a record, what is before is a hole."""
    fetcher = Fetcher({ONE: 10, TWO: 7}, {ONE: records(ONE, 12, 13), TWO: records(TWO, 7)})
    found = await fetch(fetcher, {ONE, TWO})
    assert {tp: part.base for tp, part in found.items()} == {ONE: 10, TWO: 7}


async def test_only_active_partitions_are_fetched() -> None:
    """Of the set as it was when the fetch began, and not as the other thread has changed it meanwhile."""
    fetcher = Fetcher({ONE: 0, TWO: 0}, {ONE: records(ONE, 0), TWO: records(TWO, 0)})
    active = {ONE}
    assert list(await fetch(fetcher, active)) == [ONE]
    active.clear()
    assert fetcher.asked == [frozenset({ONE})]


async def test_no_active_partition_fetches_nothing() -> None:
    """aiokafka reads an empty set as all partitions."""
    fetcher = Fetcher({ONE: 0}, {ONE: records(ONE, 0)})
    assert await fetch(fetcher, set()) == {}
    assert await fetch(fetcher, {ONE}, flow=False) == {}
    assert fetcher.asked == []


async def test_a_partition_without_news_does_not_delay_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """TWO has all that it may hold and is taken meanwhile: what has arrived of it must not lie until ONE has news."""
    waits_s = []

    async def arrives(_: Any, timeout_s: float) -> bool:
        waits_s.append(timeout_s)
        return False

    monkeypatch.setattr(ConsumerThread, "_fetch_arrives", staticmethod(arrives))
    fetcher = Fetcher({ONE: 0, TWO: 0}, {})
    assert await fetch(fetcher, {ONE}) == {}
    assert await fetch(fetcher, {ONE, TWO}) == {}
    assert waits_s == [FULL_S, TIMEOUT_S]


async def test_a_fetch_waits_until_news_or_its_timeout() -> None:
    """Whether news came. A failed fetch raises its error."""
    fetcher, waiter = Fetcher({}, {}), asyncio.get_running_loop().create_future()
    assert not await ConsumerThread._fetch_arrives(fetcher, 0.01)
    fetcher._create_fetch_waiter = lambda: waiter  # type: ignore[method-assign]
    waiter.set_result(None)
    assert await ConsumerThread._fetch_arrives(fetcher, 60)


async def test_while_anything_arrives_a_broker_may_not_hold_a_fetch_for_long() -> None:
    """One is in flight a node: who waits for news there keeps the others waiting."""
    fetcher = Fetcher({ONE: 0}, {ONE: records(ONE, 0)})
    fetcher._records = {ONE: object()}
    await fetch(fetcher, {ONE})
    assert fetcher._fetch_max_wait_ms == BUSY_WAIT_MS
    fetcher._records = {}
    await fetch(fetcher, {ONE})
    assert fetcher._fetch_max_wait_ms == FETCH_WAIT_MS


async def test_a_fetch_of_a_stopped_consumer_raises() -> None:
    """As aiokafka's own does."""
    with pytest.raises(ConsumerStoppedError):
        await fetch(Fetcher({ONE: 0}, {}), {ONE}, closed=True)


def consumer_with(fetched: dict[TP, Any], generation: int = 3) -> Any:
    """A consumer to which `fetched` has just come."""
    consumer = object.__new__(Consumer)

    async def next_records(_: float) -> tuple[dict[TP, Any], set[TP]]:
        return fetched, set(fetched)

    state = {"app": SimpleNamespace(consumer_generation_id=generation), "flow_active": True}
    consumer.__dict__.update(state, _wait_next_records=next_records)
    return consumer


async def test_one_message_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its value is the batch, its offset the last record's, its generation the one it was fetched under."""
    monkeypatch.setattr(Consumer, "should_stop", False)
    fetcher = Fetcher({ONE: 10, TWO: 7}, {ONE: records(ONE, 12, 13), TWO: records(TWO, 7)})
    consumer = consumer_with(await fetch(fetcher, {ONE, TWO}))
    found = [(tp, message) async for tp, message in consumer.getmany(1.0)]
    assert [(tp, message.offset, message.generation_id, message.timestamp) for tp, message in found] == [
        (ONE, 13, 3, 5.0),
        (TWO, 7, 3, 5.0),
    ]
    batch = found[0][1].value
    assert isinstance(batch, Batch)
    assert (batch.tp, batch.base, batch.last_offset, [each.offset for each in batch.records]) == (ONE, 10, 13, [12, 13])


@pytest.mark.parametrize("change", ["flow_active", "generation"])
async def test_what_was_fetched_before_partitions_moved_is_dropped(
    monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Between two batches of one fetch: the second is left for the worker that holds the partition now."""
    monkeypatch.setattr(Consumer, "should_stop", False)
    fetcher = Fetcher({ONE: 0, TWO: 0}, {ONE: records(ONE, 0), TWO: records(TWO, 0)})
    consumer = consumer_with(await fetch(fetcher, {ONE, TWO}))
    found = []
    async for tp, _ in consumer.getmany(1.0):
        found.append(tp)
        if change == "flow_active":
            consumer.__dict__["flow_active"] = False
        else:
            consumer.app.consumer_generation_id += 1
    assert found == [ONE]


async def test_positions_that_are_not_valid_yet_are_not_told() -> None:
    """A partition without a position brings no records; asking for it must not fail."""
    fetcher = Fetcher({ONE: None, TWO: 4}, {TWO: records(TWO, 4)})
    assert {tp: part.base for tp, part in (await fetch(fetcher, {ONE, TWO, TP("t", 9)})).items()} == {TWO: 4}


def packed(base: int, values: list[bytes], producer: int | None = None) -> bytes:
    """A batch as a broker sends it, from offset `base` on; of a transaction if it has a producer."""
    return one_batch(
        [stored("t", 1, base + at, Record(b"k", value, [("h", b"1")]), 5_000 + at) for at, value in enumerate(values)],
        producer=producer,
    )


class Result:
    """What aiokafka's fetcher keeps of a fetch from ONE at `offset`."""

    def __init__(self, data: bytes, offset: int, aborted: Sequence[tuple[int, int]] = ()) -> None:
        self.moved = 0
        self._topic_partition = ONE
        self._partition_records: Any = SimpleNamespace(
            _records=KeptRecords(data), next_fetch_offset=offset, _aborted_transactions=aborted
        )

    def check_assignment(self, tp: TP) -> bool:
        return bool(tp == ONE)

    def has_more(self) -> bool:
        return self._partition_records is not None

    def _update_position(self) -> None:
        self.moved = self._partition_records.next_fetch_offset


def test_a_fetch_is_handed_over_from_the_offset_that_was_asked_for() -> None:
    """A broker sends whole batches, so the first may begin earlier; transaction markers are no records."""
    result = Result(packed(3, [b"a", b"b", b"c"]) + marker(6, 1) + packed(9, [b"d"]), 4)
    read = records_of_fetch(result, None)
    assert read is not None
    assert [(each.offset, each.timestamp, each.key, each.value) for each in read.records] == [
        (4, 5_001, b"k", b"b"),
        (5, 5_002, b"k", b"c"),
        (9, 5_000, b"k", b"d"),
    ]
    assert list(read.records[0].headers) == [("h", b"1")]
    assert (result.moved, read.last_offset) == (10, 9)
    assert records_of_fetch(result, None) is None


@pytest.mark.parametrize(
    ("data", "aborted"),
    [
        (marker(4, 1), []),
        (packed(2, [b"a", b"b"], 1) + marker(4, 1, aborts=True), [(1, 2)]),
        (packed(2, [b"a", b"b", b"c"], 1), [(1, 2)]),
    ],
)
async def test_a_fetch_without_a_committed_record_is_handed_over(
    monkeypatch: pytest.MonkeyPatch, data: bytes, aborted: list[tuple[int, int]]
) -> None:
    """Its reader learns where it goes on. Without that, the next batch would begin behind a hole."""
    monkeypatch.setattr(Consumer, "should_stop", False)
    result = Result(data, 2)
    result._partition_records._aborted_transactions = aborted
    read = records_of_fetch(result, None)
    assert read is not None
    fetcher = Fetcher({ONE: 2}, {ONE: read})
    consumer = consumer_with(await fetch(fetcher, {ONE}))
    ((_, message),) = [each async for each in consumer.getmany(1.0)]
    batch = message.value
    assert (message.offset, batch.base, batch.last_offset, list(batch.records), result.moved) == (4, 2, 4, [], 5)


def test_a_fetch_that_is_cut_off_in_its_first_batch_is_not_handed_over() -> None:
    """Nothing of it was read, so the same offset is fetched again."""
    assert records_of_fetch(Result(packed(4, [b"a"])[:-1], 4), None) is None


@pytest.mark.parametrize("is_still_ours", [True, False])
async def test_what_was_handed_over_goes_without_the_collector(*, is_still_ours: bool) -> None:
    """A fetch refers to itself, its bytes with it, and the collector comes rarely: a worker would grow for ever."""
    parts = PartitionRecords(ONE, KeptRecords(packed(4, [b"a"])), [], 4, None, None, check_crcs=True, isolation_level=0)
    state = SimpleNamespace(paused=not is_still_ours, position=4, consumed_to=lambda _: None)
    assignment = SimpleNamespace(active=True, state_value=lambda _: state)
    result = FetchResult(ONE, assignment=assignment, partition_records=parts, backoff=0)
    fetcher = Fetcher({ONE: 4}, {ONE: records(ONE, 4)})
    fetcher._records = {ONE: result}
    gone = weakref.ref(result), weakref.ref(parts)
    gc.disable()
    try:
        assert (await fetch(fetcher, {ONE})).keys() == {ONE}
        assert (result.getall(None) is not None) == is_still_ours
        del result, parts
        fetcher._records.clear()
        assert [each() for each in gone] == [None, None]
    finally:
        gc.enable()


def test_damaged_batches_are_not_read() -> None:
    """The broker's checksum has to fit."""
    data = bytearray(packed(0, [b"a"]))
    data[-3] ^= 1
    with pytest.raises(CorruptRecordException):
        records_of_fetch(Result(bytes(data), 0), None)
