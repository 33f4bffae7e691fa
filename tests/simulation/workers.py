"""The product's two kinds of process, each the production code round the simulated group, topics and tables."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from faust.types import TP

from aggregator.writer.intake import Intake, Partition
from aggregator.writer.sink import write
from meter.charger.charger import Charger
from meter.commands.mover import CommandMover
from meter.core.policy import Policy
from meter.core.wallet.packed_books import can_be_packed, is_quiet
from meter.kafka.fetched import Batch
from meter.sessionizer.sessionizer import Sessionizer
from meter.stage.fold import Fold, MakeFold
from meter.stage.stage import Stage
from schemas.delivery import QUIET_S
from schemas.topics import (
    ACCOUNT_COMMANDS,
    CHAT_EVENTS,
    COMMAND_STATE,
    CONVERSATION_STATE,
    DEAD_LETTERS,
    EVENT_COUNTS,
    LEDGER,
    WALLET_INPUTS,
    WALLET_STATE,
)
from tests.sessionizer_engines import chosen
from tests.simulation.auditor import Audited
from tests.simulation.broker import Broker, Line, Place
from tests.simulation.clickhouse import Handle, Store
from tests.simulation.group import Coordinator, Member
from tests.simulation.poison import Poison, Poisoned, crashing
from tests.simulation.process import Process
from tests.simulation.spilling import a_spilling_engine

Kind = Callable[[Policy, int, int], Fold]
Take = Callable[[Batch, int], Awaitable[None]]

METER_TOPICS = (ACCOUNT_COMMANDS.name, CHAT_EVENTS.name, WALLET_INPUTS.name)
AGGREGATOR_TOPICS = (LEDGER.name, DEAD_LETTERS.name, EVENT_COUNTS.name)

SPILLS = 0.1
"""Share of restored partitions that keep on disk all that they may."""

PACKS = 0.5
"""Share of restored partitions that pack each book at each checkpoint, and not only those of quiet workspaces."""

AUDITED = 0.3
"""Share of restores that are held against one pass over the log."""

CHECKPOINT_MS = 500
SESSION_MS = 6_000
FLUSH_MS = 200
HANDOVER_BATCHES = 2
"""Fetched batches that wait for a reader at most."""


class SimClock:
    """Virtual time, as a stage asks for it."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def monotonic(self) -> float:
        """As `Clock` has it."""
        return asyncio.get_running_loop().time()

    def time(self) -> float:
        """As `Clock` has it."""
        return self._now_ms / 1000 + self.monotonic()


class Fetcher:
    """Faust's part: fetch batches of what is assigned, hand them over in order, and now and then lose one."""

    def __init__(self, broker: Broker, member: Member, readers: Mapping[str, Take], *, drops: float) -> None:
        self._broker = broker
        self._member = member
        self._readers = readers
        self._drops = drops
        self._queues: dict[str, deque[tuple[Batch, int]]] = {topic: deque() for topic in readers}
        self._arrived = {topic: asyncio.Event() for topic in readers}
        self._assignments = 0

    async def fetch(self) -> None:
        """For ever."""
        process, rng = self._member.process, self._member.process.rng
        while True:
            await process.step()
            await self._broker.up.wait()
            if self._assignments != self._member.assignments:
                self._assignments = self._member.assignments
                if rng.random() < 0.7:
                    self._forget()
            places = [place for place in self._member.mine if self._has_more(place)]
            if not places or self._member.is_moving:
                await self._broker.changed.wait()
                continue
            batch = self._fetched(rng.choice(places), rng.randint(1, 25))
            if rng.random() >= self._drops:
                self._queues[batch.tp.topic].append((batch, self._member.generation))
                self._arrived[batch.tp.topic].set()

    async def hand_over(self, topic: str) -> None:
        """For ever: what the topic's agent does."""
        queue, arrived = self._queues[topic], self._arrived[topic]
        while True:
            while not queue:
                arrived.clear()
                await arrived.wait()
            batch, generation = queue.popleft()
            self._broker.wake()
            await self._readers[topic](batch, generation)

    def _has_more(self, place: Place) -> bool:
        room = len(self._queues[place[0]]) < HANDOVER_BATCHES
        return room and self._member.positions[place] < self._broker.ends[place]

    def _fetched(self, place: Place, most: int) -> Batch:
        base = self._member.positions[place]
        records, self._member.positions[place] = self._broker.fetched(place, base, most)
        return Batch(TP(*place), base, records, self._member.positions[place] - 1)

    def _forget(self) -> None:
        for queue in self._queues.values():
            queue.clear()


class _Offsets:
    """The group's offsets as the aggregator's intake asks for them."""

    def __init__(self, member: Member, coordinator: Coordinator, store: Store) -> None:
        self._member = member
        self._coordinator = coordinator
        self._store = store

    def assigned(self) -> list[Partition]:
        return [Partition(*place) for place in self._member.mine]

    async def position(self, partition: Partition) -> int | None:
        return await self._member.position(TP(*partition))

    async def start_of(self, partition: Partition) -> int:
        await self._member.process.step()
        return self._coordinator.committed[partition.topic, partition.partition]

    async def seek(self, partition: Partition, offset: int) -> None:
        await self._member.seek(TP(*partition), offset)

    async def commit(self, next_offsets: Mapping[Partition, int]) -> None:
        held = {(row["topic"], row["partition"]): row["next_offset"] for row in self._store.rows("offsets_held")}
        late = {each: offset for each, offset in next_offsets.items() if held.get(each, 0) < offset}
        assert not late, f"committed, and not held by ClickHouse: {late}"
        for partition, offset in sorted(next_offsets.items()):
            if TP(*partition) in self._member.assigned(partition.topic):
                await self._member.commit(TP(*partition), offset)


def start_meter(
    process: Process, broker: Broker, group: Coordinator, policy: Policy, poison: Poison, *, drops: float
) -> None:
    """A `meter worker`: three stages, fed by one fetcher, tended by one timer."""
    member = Member(group, process)
    line = Line(broker, process, repeats=drops > 0)

    def sessionizer(policy: Policy, partition: int, partitions: int) -> Sessionizer:
        engine = a_spilling_engine() if process.rng.random() < SPILLS else chosen()
        return Sessionizer(policy, partition, engine, partitions)

    def charger(policy: Policy, partition: int, partitions: int) -> Charger:
        packs = can_be_packed if process.rng.random() < PACKS else is_quiet
        return Charger(policy, partition, partitions, packs)

    def mover(_: Policy, partition: int, partitions: int) -> CommandMover:
        return CommandMover(partition, partitions)

    def fold_of(kind: Kind, source: str) -> MakeFold:
        def make_fold(partition: int, partitions: int) -> Fold:
            fold = kind(policy, partition, partitions)
            if poison.line is not None:
                return Poisoned(fold, poison, process)
            if process.rng.random() < AUDITED:
                return Audited(fold, kind(policy, partition, partitions), broker.records[source, partition])
            return fold

        return make_fold

    make = partial(
        Stage, line, member, checkpoint_ms=CHECKPOINT_MS, session_ms=SESSION_MS, clock=SimClock(broker.now_ms)
    )
    stages = {
        ACCOUNT_COMMANDS.name: make(ACCOUNT_COMMANDS, COMMAND_STATE, fold_of(mover, ACCOUNT_COMMANDS.name)),
        CHAT_EVENTS.name: make(CHAT_EVENTS, CONVERSATION_STATE, fold_of(sessionizer, CHAT_EVENTS.name)),
        WALLET_INPUTS.name: make(WALLET_INPUTS, WALLET_STATE, fold_of(charger, WALLET_INPUTS.name)),
    }
    readers = {topic: crashing(process, stage.process) for topic, stage in stages.items()}
    fetcher = Fetcher(broker, member, readers, drops=drops)

    async def run_periodic() -> None:
        while True:
            await process.step(CHECKPOINT_MS / 1000)
            for stage in stages.values():
                await stage.run_periodic()

    _run(process, fetcher.fetch(), *(fetcher.hand_over(topic) for topic in stages), run_periodic())
    group.join(member)


def start_aggregator(process: Process, broker: Broker, group: Coordinator, store: Store, *, drops: float) -> None:
    """An `aggregator worker`: an intake, its agents and its writer."""
    member = Member(group, process)
    handle: Any = Handle(store, process)
    intake = Intake(_Offsets(member, group, store), partial(write, handle, topic_ids={}), FLUSH_MS)
    member.on_assigned = intake.forget

    async def deliver(batch: Batch, generation: int) -> None:
        if generation == member.generation:
            await intake.process(Partition(*batch.tp), batch)

    async def look_for_holes() -> None:
        while True:
            await process.step(2 * QUIET_S)
            await intake.look_for_holes()

    fetcher = Fetcher(broker, member, dict.fromkeys(AGGREGATOR_TOPICS, deliver), drops=drops)
    hand_over = [fetcher.hand_over(topic) for topic in AGGREGATOR_TOPICS]
    _run(process, fetcher.fetch(), *hand_over, intake.run(), look_for_holes())
    group.join(member)


def _run(process: Process, *work: Coroutine[Any, Any, None]) -> None:
    process.tasks += [asyncio.create_task(each) for each in work]
