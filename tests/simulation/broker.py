"""A broker in memory: topics, compaction, outages; and a process's way to it, on which records are under way."""

import asyncio
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from aiokafka import ConsumerRecord
from aiokafka.partitioner import DefaultPartitioner

from meter.kafka.records import Delivery, Packed, Record
from meter.kafka.topics import delivered
from schemas.topic_identity import TopicIdentity
from schemas.topics import ENTITLEMENTS, TOPICS
from tests.packed_records import unpacked
from tests.properties.memory_log import stored
from tests.simulation.process import Process

Place = tuple[str, int]
SLOW_S = 2.0
COMPACTED = frozenset(
    topic.name for topic in TOPICS if topic.config["cleanup.policy"] == "compact" and topic is not ENTITLEMENTS
)
"""Entitlements are compacted only hours after they were written, and each life is shorter (docs/adr/0035)."""


class Broker:
    """What has been acknowledged stays, in order. Compaction may strike at any moment: it waits for no reader."""

    def __init__(self, rng: Random, partitions: int, now_ms: int) -> None:
        self.rng = rng
        self.number = partitions
        self.now_ms = now_ms
        self.records: defaultdict[Place, list[ConsumerRecord]] = defaultdict(list)
        self.ends: defaultdict[Place, int] = defaultdict(int)
        self.absent: defaultdict[Place, list[int]] = defaultdict(list)
        """Offsets that are no records: transaction markers, and what was aborted."""
        self._partition_of: dict[bytes, int] = {}
        self.changed = asyncio.Event()
        self.up = asyncio.Event()
        self.up.set()

    def add(self, place: Place, record: Record) -> None:
        """Append one record."""
        self.records[place].append(stored(*place, self.ends[place], record, self.now_ms))
        self.ends[place] += 1
        self.wake()

    def abort(self, place: Place) -> None:
        """End a transaction: its marker has an offset, and so has each of its records if it is aborted."""
        until = self.ends[place] + self.rng.choice((1, 1, 3, 30))
        self.absent[place] += range(self.ends[place], until)
        self.ends[place] = until
        self.wake()

    def fetched(self, place: Place, base: int, most: int) -> tuple[list[ConsumerRecord], int]:
        """The records of at most `most` offsets from `base` on, and the offset after them."""
        end = min(base + most, self.ends[place])
        log = self.records[place]
        first, last = (bisect_left(log, offset, key=lambda record: int(record.offset)) for offset in (base, end))
        return log[first:last], end

    def wake(self) -> None:
        """Tell all that wait that there may be something to read."""
        self.changed.set()
        self.changed.clear()

    def compact(self, place: Place) -> None:
        """Keep the last record of each Kafka key; of tombstones none, if it is so drawn."""
        last = {record.key: record for record in self.records[place]}
        drop_tombstones = self.rng.random() < 0.3
        kept = [record for record in last.values() if record.value is not None or not drop_tombstones]
        self.records[place] = sorted(kept, key=lambda record: int(record.offset))

    def compact_something(self) -> None:
        """One state partition."""
        places = sorted(place for place in self.records if place[0] in COMPACTED)
        if places:
            self.compact(self.rng.choice(places))

    def place_of(self, topic: str, key: bytes) -> Place:
        """Where Kafka's default partitioner puts a key."""
        if key not in self._partition_of:
            every = list(range(self.number))
            self._partition_of[key] = int(DefaultPartitioner()(key, every, every))
        return topic, self._partition_of[key]

    def all_of(self, topic: str) -> Iterator[ConsumerRecord]:
        """Every record of a topic, one partition after another."""
        for partition in range(self.number):
            yield from self.records[topic, partition]


@dataclass
class _Sent:
    """Records under way to one partition. What has left the process arrives though the process ends or is paused."""

    records: list[Record]
    arrived: asyncio.Future[int]
    left: bool = False


class _Acknowledgement:
    """Done once the broker has the records, and the process knows."""

    def __init__(self, sent: _Sent, process: Process) -> None:
        self._sent = sent
        self._process = process
        self.offset = -1

    def __await__(self) -> Generator[Any, None, None]:
        self.offset = yield from self._sent.arrived
        yield from self._process.step().__await__()


class Line:
    """One process's connection to the broker: the topics as a stage, a feeder or a restore sees them."""

    def __init__(self, broker: Broker, process: Process, *, repeats: bool) -> None:
        self._broker = broker
        self._process = process
        self._repeats = repeats
        """Whether a retry may append a second time, as without an idempotent producer."""
        self._under_way: defaultdict[Place, deque[_Sent]] = defaultdict(deque)
        self._senders: set[Place] = set()
        self._longest_s: dict[Place, float] = {}
        process.on_pause.append(self._part_leaves)
        process.on_kill.append(self._part_leaves)
        process.on_resume.append(self._go_on)

    async def partitions(self, topic: str) -> int:  # noqa: ARG002 - all have the same number
        """As `Topics` has it."""
        return self._broker.number

    async def identity(self, topic: str) -> TopicIdentity:
        """As `Topics` has it."""
        await self._process.step()
        return TopicIdentity("simulated", f"{topic}-1", self._broker.number)

    async def partition_of(self, topic: str, key: bytes) -> int:
        """As `Topics` has it."""
        return self._broker.place_of(topic, key)[1]

    async def append(self, topic: str, partition: int, records: Iterable[Record]) -> list[Delivery]:
        """As `Topics` has it. Records leave one by one or together."""
        await self._process.step()
        whole = list(records)
        rng = self._process.rng
        size = len(whole) if rng.random() < 0.5 else 1
        return [self._send((topic, partition), whole[at : at + size]) for at in range(0, len(whole), max(size, 1))]

    async def append_keyed(self, topic: str, records: Iterable[Record]) -> list[Delivery]:
        """As `Topics` has it."""
        by_place: defaultdict[Place, list[Record]] = defaultdict(list)
        for record in records:
            by_place[self._broker.place_of(topic, record.key or b"")].append(record)
        deliveries: list[Delivery] = []
        for place, part in by_place.items():
            deliveries += await self.append(*place, part)
        return deliveries

    async def append_packed(self, topic: str, packed: Packed) -> Delivery:
        """As `Topics` has it. What is encoded already leaves together."""
        await self._process.step()
        return self._send((topic, packed.partition), unpacked(packed))

    async def write(self, topic: str, partition: int, records: Iterable[Record]) -> None:
        """As `Topics` has it."""
        await delivered(await self.append(topic, partition, records))

    async def write_one(self, topic: str, partition: int, record: Record) -> int:
        """As `Topics` has it."""
        await self._process.step()
        acknowledgement = self._send((topic, partition), [record])
        await acknowledgement
        return acknowledgement.offset

    async def end(self, topic: str, partition: int) -> int:
        """As `Topics` has it."""
        await self._process.step()
        return self._broker.ends[topic, partition]

    async def end_of_epoch(self, topic: str, partition: int, epoch: int) -> None:
        """As `Topics` has it, of a broker without epochs."""

    async def read(self, topic: str, partition: int, start: int, end: int) -> AsyncIterator[Sequence[ConsumerRecord]]:
        """As `Topics` has it. Compaction may run meanwhile."""
        reached = start - 1
        while reached < end:
            await self._process.step()
            await self._broker.up.wait()
            rest = [record for record in self._broker.records[topic, partition] if record.offset > reached]
            fetched = rest[: self._process.rng.randint(1, 30)]
            reached = fetched[-1].offset
            yield [record for record in fetched if record.offset <= end]

    def _send(self, place: Place, records: list[Record]) -> _Acknowledgement:
        sent = _Sent(records, asyncio.get_running_loop().create_future())
        self._under_way[place].append(sent)
        self._carry(place)
        return _Acknowledgement(sent, self._process)

    def _carry(self, place: Place) -> None:
        if place not in self._senders:
            self._senders.add(place)
            # One partition's leader may be far slower than another's, so that what was sent later arrives first.
            self._longest_s[place] = self._process.rng.choice((0.05, 0.05, 0.05, SLOW_S))
            self._process.tasks.append(asyncio.create_task(self._carrying(place)))

    async def _carrying(self, place: Place) -> None:
        """Let what is under way to a partition arrive, in order."""
        queue = self._under_way[place]
        while queue:
            await asyncio.sleep(self._process.rng.random() * self._longest_s[place])
            await self._broker.up.wait()
            if not queue or ((self._process.dead or self._process.paused) and not queue[0].left):
                break
            sent = queue.popleft()
            for _ in range(2 if self._repeats and self._process.rng.random() < 0.1 else 1):
                for record in sent.records:
                    self._broker.add(place, record)
            if not sent.arrived.done():
                sent.arrived.set_result(self._broker.ends[place] - 1)
        self._senders.discard(place)

    def _part_leaves(self) -> None:
        for place in sorted(self._under_way):
            queue = self._under_way[place]
            for sent in list(queue)[: self._process.rng.randint(0, len(queue))]:
                sent.left = True

    def _go_on(self) -> None:
        for place in sorted(self._under_way):
            self._carry(place)
