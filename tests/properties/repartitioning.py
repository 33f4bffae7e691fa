"""A repartition in the middle of a pipeline: the production command's steps on topics in memory."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

from aiokafka import ConsumerRecord

from meter.kafka.layouts import read_layout, write_layout
from meter.kafka.records import Delivery, Packed, Record
from meter.operations.repartition.steps import clear_up, finish, move_state
from meter.operations.stages import COMMANDS, SESSIONS, WALLETS, StageTopics
from meter.stage.blocks import pack
from meter.stage.checkpoints import Checkpoints
from meter.stage.fold import State
from meter.stage.mark import Life
from schemas.layout import LayoutRecord
from schemas.topic_identity import TopicIdentity
from tests.properties.memory_log import MemoryLog
from tests.properties.memory_state_topic import done, held
from tests.properties.pipeline import Pipeline, Stage, Turn
from tests.properties.worker import Store

STAGES: dict[Stage, StageTopics] = {"commands": COMMANDS, "sessionize": SESSIONS, "charge": WALLETS}
"""In the order in which data flows."""


class Killed(BaseException):
    """The process of the command ends."""


class MemoryTopics:
    """The port `Topics` on a log in memory. The process that writes ends before its write number `dies_at`."""

    def __init__(self, log: MemoryLog, dies_at: int = -1) -> None:
        self._log = log
        self._dies_at = dies_at

    async def end_of_epoch(self, topic: str, partition: int, epoch: int) -> None:
        """Nothing is known of leaders."""

    async def partitions(self, topic: str) -> int:
        return await self._log.partitions(topic)

    async def partition_of(self, topic: str, key: bytes) -> int:
        return await self._log.partition_of(topic, key)

    async def identity(self, topic: str) -> TopicIdentity:
        return TopicIdentity("cluster", topic, self._log.number)

    async def append_packed(self, topic: str, packed: Packed) -> Delivery:
        raise NotImplementedError("the command packs nothing")

    async def append(self, topic: str, partition: int, records: Iterable[Record]) -> list[Delivery]:
        await self.write(topic, partition, records)
        return []

    async def append_keyed(self, topic: str, records: Iterable[Record]) -> list[Delivery]:
        for record in records:
            await self.write(topic, self._log.place(record.key or b""), [record])
        return []

    async def write(self, topic: str, partition: int, records: Iterable[Record]) -> None:
        for record in records:
            self._dies_at -= 1
            if self._dies_at == -1:
                raise Killed
            self._log.add(topic, partition, record)

    async def write_one(self, topic: str, partition: int, record: Record) -> int:
        await self.write(topic, partition, [record])
        return len(self._log.topics[topic, partition]) - 1

    async def end(self, topic: str, partition: int) -> int:
        return len(self._log.topics[topic, partition])

    async def read(self, topic: str, partition: int, start: int, end: int) -> AsyncIterator[Sequence[ConsumerRecord]]:
        yield self._log.topics[topic, partition][start : end + 1]


class _Saved(State):
    """The state of a store, as one checkpoint writes it."""

    spills = False

    def __init__(self, store: Store) -> None:
        self._store = store

    def changed(self) -> Iterator[bytes]:
        """In blocks of three entries, so that a state has several."""
        entries = sorted(self._store.held().items())
        for at in range(0, len(entries), 3):
            yield from pack(entries[at : at + 3])

    def sweep(self, size_bytes: int) -> tuple[bytes, bool]:  # noqa: ARG002
        return b"", True

    def mark(self) -> bytes:
        return self._store.newest[1] or b""

    def load(self, offset: int, block: bytes) -> None: ...
    def finish(self, mark: bytes | None, floor: int) -> None: ...


class _Restored(_Saved):
    """A state that becomes a store."""

    def __init__(self) -> None:
        super().__init__(Store())
        self.store = self._store
        self._mark: bytes | None = None

    def load(self, offset: int, block: bytes) -> None:
        self.store.put(offset, block)

    def finish(self, mark: bytes | None, floor: int) -> None:
        self.store.floor, self._mark = floor, mark

    def complete(self, offset: int) -> None:
        assert self._mark is not None, "each partition has a mark"
        self.store.complete(offset, self._mark)


def repartition(pipeline: Pipeline, after: int, kills: Iterable[int] = (), *, reads_first: bool = True) -> int:
    """Give the topics of a pipeline `after` partitions. Its workers stop, after they have read everything.

    Without `reads_first`, they have only read what they had to: what is left on chat-events stays unread.

    The command is killed before its write of each number in `kills`, one after another, and then given again to its
    end. Returns how many writes the last command took.
    """
    log, before = pipeline.log, pipeline.log.number
    for worker in pipeline.paused:
        worker.fetch_no_more()
    for name in STAGES if reads_first else ():
        for partition in range(before):
            pipeline.process(Turn(name, partition, 10_000, checkpoint=True))
    if reads_first:
        pipeline.drain()
    for name, stage in STAGES.items():
        for partition in range(before):
            done(_save(log, stage, partition, pipeline.stores[name, partition], pipeline.life.generation))
    layout = LayoutRecord(
        generation=pipeline.life.generation + 1, partitions=after, before=before, step="begun", owner="x"
    )
    topics = MemoryTopics(log)
    if done(read_layout(topics)) is None:
        done(write_layout(topics, LayoutRecord(generation=pipeline.life.generation, partitions=before)))
    done(write_layout(topics, layout))
    log.number = after
    for number in kills:
        dying = MemoryTopics(log, number)
        try:
            done(_command(dying, layout))
        except Killed:
            continue
        break
    last = MemoryTopics(log, 10**9)
    done(_command(last, layout))
    pipeline.workers.clear()
    pipeline.life = Life(layout.generation, *[TopicIdentity("cluster", "", after)] * 2)
    for name, stage in STAGES.items():
        for partition in range(after):
            pipeline.stores[name, partition] = done(_restore(log, stage, partition, layout.generation))
            log.topics[stage.state.name, partition].clear()
    return 10**9 - last._dies_at


async def _command(topics: MemoryTopics, layout: LayoutRecord) -> None:
    """Go on from the last step, as the command does; none is left if the layout is done."""
    now = await read_layout(topics)
    assert now is not None
    if now.step == "done" and now.generation == layout.generation:
        return
    if now.step == "begun":
        await write_layout(topics, layout)
    await move_state(topics, Quiet())
    await clear_up(topics, Quiet())
    await finish(topics)


class Quiet:
    """A progress that is not shown."""

    def phase(self, name: str, total: int | None) -> None: ...


def _life(log: MemoryLog, stage: StageTopics, generation: int) -> Life:
    source, state = (TopicIdentity("cluster", topic.name, log.number) for topic in (stage.source, stage.state))
    return Life(generation, source, state)


async def _save(log: MemoryLog, stage: StageTopics, partition: int, store: Store, generation: int) -> None:
    if store.newest[1] is None:
        return
    life = _life(log, stage, generation)
    checkpoints = Checkpoints(MemoryTopics(log), stage.source, stage.state, partition, life)
    await checkpoints.restore(_Saved(store))
    # A partition that has read nothing since it was made has entries as of -1.
    checkpoints._floor = checkpoints._next_floor = store.floor
    await checkpoints.write(store.newest[0], _Saved(store), held)


async def _restore(log: MemoryLog, stage: StageTopics, partition: int, generation: int) -> Store:
    state = _Restored()
    checkpoints = Checkpoints(MemoryTopics(log), stage.source, stage.state, partition, _life(log, stage, 0))
    restored = await checkpoints.restore(state)
    assert checkpoints.life.generation == generation
    state.complete(restored.offset)
    return state.store
