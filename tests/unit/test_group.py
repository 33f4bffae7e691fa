"""The group's offsets, read and moved in the consumer's thread: by both programs through one transport."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaConnectionError
from faust.types import TP

from aggregator.writer.intake import Partition
from aggregator.writer.offsets import GroupOffsets
from meter.kafka.group import FaustGroup
from meter.kafka.transport import Consumer

OWN, OTHER = TP("chat-events", 0), TP("chat-events", 1)


class Client:
    """The Kafka client of a worker that has the partition OWN. Takes no partition but its own `TopicPartition`."""

    def __init__(self) -> None:
        self.refusal: Exception | None = None
        self.committed_at: dict[TopicPartition, int] = {}
        self.state = SimpleNamespace(position=7, has_valid_position=True, highwater=9)
        assignment = SimpleNamespace(state_value=lambda _: self.state)
        self._subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=assignment))
        self.sought: list[tuple[TopicPartition, int]] = []

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition(*OWN)}

    def highwater(self, tp: TopicPartition) -> int:
        assert tp in self.assignment()
        return int(self.state.highwater)

    def seek(self, tp: TopicPartition, offset: int) -> None:
        assert isinstance(tp, TopicPartition)
        self.sought.append((tp, offset))

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 3)

    async def committed(self, tp: TopicPartition) -> int | None:
        return self.committed_at.get(tp)

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        assert all(isinstance(tp, TopicPartition) for tp in offsets)
        if self.refusal is not None:
            raise self.refusal
        self.committed_at |= offsets


def consumer(call_thread: Callable[..., Awaitable[Any]], client: Client, *, should_stop: bool = False) -> Any:
    """The transport's consumer around a thread that runs what it is given with `call_thread`."""
    made = object.__new__(Consumer)
    made.__dict__["app"] = SimpleNamespace(should_stop=should_stop, consumer=made)
    made.__dict__["_thread"] = SimpleNamespace(
        call_thread=call_thread, _ensure_consumer=lambda: client, assignment=client.assignment
    )
    made.__dict__["_read_offset"] = {OWN: 9}
    return made


def running(client: Client) -> Any:
    async def call_thread(ask: Callable[..., Awaitable[Any]], *of: object) -> Any:
        return await ask(*of)

    return consumer(call_thread, client)


def ended(*, should_stop: bool) -> Any:
    """A consumer whose thread has ended."""

    async def call_thread(*_: object) -> None:
        raise RuntimeError("Event loop is closed")

    return consumer(call_thread, Client(), should_stop=should_stop)


async def ask_meter(app: Any) -> None:
    await FaustGroup(app).commit(OWN, 5)


async def ask_aggregator(app: Any) -> None:
    await GroupOffsets(app).start_of(Partition("ledger", 0))


@pytest.mark.parametrize("ask", [ask_meter, ask_aggregator])
async def test_a_stopping_worker_is_no_crash(ask: Any) -> None:
    """SIGTERM ends the consumer's thread before the agents: a task that asks it meanwhile ends with status 0."""
    with pytest.raises(asyncio.CancelledError):
        await ask(ended(should_stop=True).app)


@pytest.mark.parametrize("ask", [ask_meter, ask_aggregator])
async def test_a_consumer_that_ends_by_itself_is_a_crash(ask: Any) -> None:
    """No caller stopped the worker: going on without a consumer would be silence."""
    with pytest.raises(RuntimeError):
        await ask(ended(should_stop=False).app)


async def test_both_programs_commit_what_is_their_own() -> None:
    """A partition that went to another worker is left out, and only the meter has to know."""
    client = Client()
    app = running(client).app
    assert await FaustGroup(app).commit(OWN, 5)
    assert not await FaustGroup(app).commit(OTHER, 5)
    assert client.committed_at == {OWN: 5}
    await GroupOffsets(app).commit({Partition(*OWN): 6, Partition(*OTHER): 6})
    assert client.committed_at == {OWN: 6}
    assert not await running(client).commit_offsets({OWN: 7, OTHER: 7})
    assert await running(client).commit_offsets({})


@pytest.mark.parametrize("refusal", [CommitFailedError("rebalanced"), IllegalStateError("not assigned")])
async def test_a_group_that_moved_on_is_no_crash(refusal: Exception) -> None:
    """The partition is another worker's by now, which goes on where the group was."""
    client = Client()
    client.refusal = refusal
    assert not await FaustGroup(running(client).app).commit(OWN, 5)
    await GroupOffsets(running(client).app).commit({Partition(*OWN): 5})
    assert client.committed_at == {}


async def test_another_failure_of_a_commit_is_raised() -> None:
    """It does not say that the partition is another worker's."""
    client = Client()
    client.refusal = KafkaConnectionError()
    with pytest.raises(KafkaConnectionError):
        await FaustGroup(running(client).app).commit(OWN, 5)


async def test_a_seek_makes_faust_forget_what_it_read() -> None:
    """Faust would drop what lies before it. Of a partition that is another worker's nothing is done."""
    client = Client()
    consumer = running(client)
    await FaustGroup(consumer.app).seek(OWN, 5)
    await GroupOffsets(consumer.app).seek(Partition(*OTHER), 5)
    assert client.sought == [(OWN, 5)]
    assert consumer._read_offset == {OWN: None}


async def test_a_position_may_not_be_settled() -> None:
    """As right after an assignment; of a partition that is another worker's there is none."""
    client = Client()
    app = running(client).app
    assert await FaustGroup(app).position(OWN) == await GroupOffsets(app).position(Partition(*OWN)) == 7
    assert await FaustGroup(app).position(OTHER) is None
    client.state.has_valid_position = False
    assert await FaustGroup(app).position(OWN) is None


async def test_reading_starts_at_the_commit_or_the_beginning() -> None:
    """The beginning counts if nothing is committed, or if the committed offset is below it."""
    client = Client()
    offsets = GroupOffsets(running(client).app)
    starts = []
    for committed in (None, 2, 4):
        client.committed_at = {} if committed is None else {TopicPartition(*OWN): committed}
        starts.append(await offsets.start_of(Partition(*OWN)))
    assert starts == [3, 3, 4]
    assert await FaustGroup(running(client).app).beginning(OWN) == 3


def test_an_end_is_known_of_own_partitions_that_were_fetched() -> None:
    """The meter counts from 0 where it is not; the aggregator leaves those out."""
    client = Client()
    app = running(client).app
    assert FaustGroup(app).end(OWN) == 9
    assert FaustGroup(app).end(OTHER) == 0
    assert GroupOffsets(app).ends_of([Partition(*OWN), Partition(*OTHER)]) == {OWN: 9}
    assert GroupOffsets(app).assigned() == [OWN]


def test_a_partition_that_goes_while_its_end_is_read_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The consumer's thread takes it away between the client's check and its look."""
    client = Client()
    monkeypatch.setattr(client, "state", None)
    assert FaustGroup(running(client).app).end(OWN) == 0
