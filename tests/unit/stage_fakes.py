"""A world of fakes round a stage, each of which notes what is done to it."""

import asyncio
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from faust.types import TP

from meter.kafka.fetched import Batch, Fetched
from meter.kafka.records import Record
from meter.stage.checkpoints import Restored
from meter.stage.fold import Output
from meter.stage.mark import Life
from meter.stage.stage import Stage
from meter.worker import or_crash
from schemas.topic_identity import TopicIdentity
from schemas.topics import CHAT_EVENTS, CONVERSATION_STATE, WALLET_INPUTS
from tests.properties.memory_log import stored

PARTITION = TP(CHAT_EVENTS.name, 0)
LIFE = Life(0, TopicIdentity("cluster", CHAT_EVENTS.name, 2), TopicIdentity("cluster", CONVERSATION_STATE.name, 2))
WRITTEN = [Record(b"w", b"output")]


@dataclass
class World:
    """Everything round a stage, each a fake that notes what is done to it."""

    restored: Restored = field(default_factory=lambda: Restored(-1, 0))
    done: list[str] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    restores: int = 0
    is_newest: bool = False
    is_assigned: bool = True
    fails: str = ""
    cancels: str = ""
    is_moving: bool = False
    generation: int = 1
    accepts: bool = True
    earliest: int = 0
    log_end: int = 1_000
    epoch_ends: dict[int, int] = field(default_factory=dict)
    epoch_marked: int = -1
    epochs_marked: list[int] = field(default_factory=list)
    committed_offset: int | None = None
    identities: dict[str, TopicIdentity] = field(default_factory=dict)
    at: int | None = None
    folds: int = 0
    generations: list[int] = field(default_factory=list)
    state_records: list[Record] = field(default_factory=list)
    now_s: float = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def time(self) -> float:
        return self.now_s

    def assigned(self, topic: str) -> list[TP]:
        mine = (PARTITION, TP(WALLET_INPUTS.name, 0)) if self.is_assigned else ()
        return [tp for tp in mine if tp.topic == topic]

    def end(self, _: TP) -> int:
        return 0

    async def beginning(self, _: TP) -> int:
        return self.earliest

    async def committed(self, _: TP) -> int | None:
        return self.committed_offset

    async def position(self, _: TP) -> int | None:
        return self.at

    async def seek(self, _: TP, offset: int) -> None:
        self.note(f"sought {offset}")

    async def commit(self, _: TP, offset: int) -> bool:
        if self.accepts:
            self.note(f"committed {offset}")
        return self.accepts

    def note(self, what: str) -> None:
        if what.split(" ")[0] == self.fails:
            raise RuntimeError(what)
        if what.split(" ")[0] == self.cancels:
            self.cancels = ""
            raise asyncio.CancelledError
        self.done.append(what)


class _Acknowledgement(NamedTuple):
    """Comes when it is waited for."""

    world: World
    of: str

    def __await__(self) -> Generator[Any, None, None]:
        yield from asyncio.sleep(0).__await__()
        self.world.note(f"acknowledged {self.of}")


class KafkaTopics:
    """Takes appends at once, and acknowledges them when they are awaited."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def partitions(self, topic: str) -> int:  # noqa: ARG002 - the shape of a log
        return 2

    async def identity(self, topic: str) -> TopicIdentity:
        return self._world.identities.get(topic, TopicIdentity("cluster", topic, 2))

    async def end(self, topic: str, partition: int) -> int:  # noqa: ARG002 - the shape of a log
        return self._world.log_end

    async def end_of_epoch(self, topic: str, partition: int, epoch: int) -> int | None:  # noqa: ARG002 - as above
        return self._world.epoch_ends.get(epoch)

    async def append(self, topic: str, partition: int, records: list[Record]) -> list[Any]:
        return [_Acknowledgement(self._world, f"{topic}/{partition}")] if records else []

    async def append_keyed(self, topic: str, records: list[Record]) -> list[Any]:
        return [_Acknowledgement(self._world, topic)] if records else []

    async def write(self, topic: str, partition: int, records: list[Record]) -> None:
        self._world.note(f"written {topic}/{partition} {len(records)}")


class Fold:
    """Takes every record, causes one output a batch, and has one thing to say after a checkpoint."""

    spills = False
    is_full = False

    def __init__(self, world: World) -> None:
        self._world = world
        self._changed = False

    def process(self, records: Sequence[Fetched]) -> Iterator[Output]:
        self._world.note("taken")
        self._world.taken += [record.offset for record in records]
        self._changed = True
        yield Output(WALLET_INPUTS, WRITTEN)

    def changed(self) -> Iterable[bytes]:
        changed, self._changed = self._changed, False
        return [b"k"] if changed else []

    def sweep(self, size_bytes: int) -> tuple[bytes, bool]:  # noqa: ARG002 - the shape of a state
        return b"", True

    def load(self, offset: int, block: bytes) -> None:  # noqa: ARG002 - the shape of a state
        raise AssertionError("there is nothing to load")

    def finish(self, mark: bytes | None, floor: int) -> None:
        assert (mark, floor) == (None, -1)
        self._world.folds += 1

    def mark(self) -> bytes:
        return b"mark"

    def begin(self, life: Life) -> None:
        self._world.generations.append(life.generation)

    def leave_out(self, record: Fetched, reason: str) -> Iterator[Output]:
        self._world.note(f"left out {record.offset}: {reason}")
        yield Output(WALLET_INPUTS, WRITTEN)

    def confirm(self, offset: int) -> Iterator[Output]:
        self._world.note(f"confirmed {offset}")
        yield Output(WALLET_INPUTS, WRITTEN, partition=1)

    def idle(self, now_ms: int) -> list[Record]:  # noqa: ARG002 - the shape of a fold
        return WRITTEN


def made(world: World, checkpoint_ms: int = 0) -> Stage:
    def fold(partition: int, partitions: int) -> Fold:  # noqa: ARG001 - the shape of a maker
        return Fold(world)

    return Stage(
        KafkaTopics(world),  # type: ignore[arg-type]
        world,
        CHAT_EVENTS,
        CONVERSATION_STATE,
        fold,
        checkpoint_ms=checkpoint_ms,
        session_ms=10_000,
        clock=world,
    )


def batch(*offsets: int, base: int | None = None, epoch: int = -1) -> Batch:
    records = [stored(CHAT_EVENTS.name, 0, offset, Record(b"w", b"{}")) for offset in offsets]
    return Batch(PARTITION, offsets[0] if base is None else base, records, offsets[-1], epoch)


class Under(NamedTuple):
    """A batch that was fetched under some generation."""

    value: Batch
    generation: int


async def run(stage: Stage, world: World, *batches: Batch | Under) -> None:
    """Hand a stage batches as its agent does; with a number, under that generation."""
    for each in batches:
        one, generation = (each.value, each.generation) if isinstance(each, Under) else (each, world.generation)
        await or_crash(stage.process(one, generation))


ACKNOWLEDGED = f"acknowledged {WALLET_INPUTS.name}"
CONFIRMED = f"{ACKNOWLEDGED}/1"
