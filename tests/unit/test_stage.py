"""The stage: in which order its effects come, and what it takes of what Faust hands it."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from aiokafka import ConsumerRecord
from faust.types import TP

from meter import stage as module
from meter.app import CRASHED, or_crash
from meter.checkpoints import Restored, SupersededError
from meter.fold import Output
from meter.log import Record
from meter.stage import Stage
from meter.transport import Batch
from schemas.topics import CHAT_EVENTS, CONVERSATION_STATE, WALLET_INPUTS
from tests.properties.pipeline import stored

PARTITION = TP(CHAT_EVENTS.name, 0)
WRITTEN = [Record(b"w", b"output")]


@dataclass
class World:
    """Everything round a stage, each a fake that notes what is done to it."""

    restored: Restored = field(default_factory=lambda: Restored(-1, None, {}))
    done: list[str] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    restores: int = 0
    fails: str = ""
    is_moving: bool = False
    generation: int = 1
    accepts: bool = True
    earliest: int = 0
    at: int | None = None
    folds: int = 0
    now_s: float = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def time(self) -> float:
        return self.now_s

    def assigned(self, topic: str) -> list[TP]:
        return [tp for tp in (PARTITION, TP(WALLET_INPUTS.name, 0)) if tp.topic == topic]

    def end(self, _: TP) -> int:
        return 0

    async def beginning(self, _: TP) -> int:
        return self.earliest

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
        self.done.append(what)


class Log:
    """Takes appends at once, and acknowledges them when they are awaited."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def partitions(self, topic: str) -> int:  # noqa: ARG002 - the shape of a log
        return 2

    async def append(self, topic: str, partition: int, records: list[Record]) -> list[Any]:
        return [self._acknowledge(f"{topic}/{partition}")] if records else []

    async def append_keyed(self, topic: str, records: list[Record]) -> list[Any]:
        return [self._acknowledge(topic)] if records else []

    async def write(self, topic: str, partition: int, records: list[Record]) -> None:
        self._world.note(f"written {topic}/{partition} {len(records)}")

    async def _acknowledge(self, what: str) -> None:
        await asyncio.sleep(0)
        self._world.note(f"acknowledged {what}")


class Fold:
    """Takes whatever comes, causes one output a batch, and has one thing to say after a checkpoint."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._changed = False

    def take(self, records: list[ConsumerRecord]) -> Iterator[Output]:
        self._world.note("taken")
        self._world.taken += [record.offset for record in records]
        self._changed = True
        yield Output(WALLET_INPUTS, WRITTEN)

    def changes(self) -> Iterable[tuple[bytes, bytes | None]]:
        changed, self._changed = self._changed, False
        return [(b"k", b"v")] if changed else []

    def mark(self) -> bytes:
        return b"mark"

    def confirm(self, offset: int) -> Iterator[Output]:
        self._world.note(f"confirmed {offset}")
        yield Output(WALLET_INPUTS, WRITTEN, everywhere=True)

    def idle(self, now_ms: int) -> list[Record]:  # noqa: ARG002 - the shape of a fold
        return WRITTEN


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A world in which processes do not really end."""
    found = World()

    class Checkpoints:
        def __init__(self, *_: object) -> None: ...

        async def restore(self) -> Restored:
            found.restores += 1
            return found.restored

        async def write(
            self,
            offset: int,
            mark: bytes,
            changes: Iterable[tuple[bytes, bytes | None]],
            may_go_on: Callable[[], Awaitable[bool]],
        ) -> int:
            for key, _ in changes:
                found.note(f"state {key.decode()}")
            if not await may_go_on():
                raise SupersededError
            found.note(f"{mark.decode()} {offset}")
            return 1

    monkeypatch.setattr(module, "Checkpoints", Checkpoints)

    def ended(status: int) -> None:
        raise SystemExit(status)

    monkeypatch.setattr(os, "_exit", ended)
    return found


def made(world: World, checkpoint_ms: int = 0) -> Stage:
    def fold(partition: int, restored: Restored) -> Fold:  # noqa: ARG001 - the shape of a maker
        world.folds += 1
        return Fold(world)

    return Stage(
        Log(world),  # type: ignore[arg-type]
        world,
        CHAT_EVENTS,
        CONVERSATION_STATE,
        fold,
        checkpoint_ms=checkpoint_ms,
        session_ms=10_000,
        clock=world,
    )


def batch(*offsets: int, base: int | None = None) -> Batch:
    records = [stored(CHAT_EVENTS.name, 0, offset, Record(b"w", b"{}")) for offset in offsets]
    return Batch(PARTITION, offsets[0] if base is None else base, records)


class Under(NamedTuple):
    """A batch that was fetched under some generation."""

    value: Batch
    generation: int


async def run(stage: Stage, world: World, *batches: Batch | Under) -> None:
    """Hand a stage batches as its agent does; with a number, under that generation."""
    for each in batches:
        one, generation = (each.value, each.generation) if isinstance(each, Under) else (each, world.generation)
        await or_crash(stage.take(one, generation))


ACKNOWLEDGED = f"acknowledged {WALLET_INPUTS.name}"
EVERYWHERE = [f"{ACKNOWLEDGED}/0", f"{ACKNOWLEDGED}/1"]


async def test_effects_come_in_the_order_that_makes_a_crash_harmless(world: World) -> None:
    """A sign of life from the group once the state is restored; outputs acknowledged, then state, then the mark, then
    what may only be said after it, to every partition and acknowledged, and last the group's offset."""
    await run(made(world), world, batch(0, 1, 2))
    assert world.done == [
        "committed 0",
        "taken",
        ACKNOWLEDGED,
        "state k",
        "mark 2",
        "confirmed 2",
        *EVERYWHERE,
        "committed 3",
    ]


async def test_between_checkpoints_only_outputs_leave(world: World) -> None:
    """No state, no mark and no offset before a checkpoint is due."""
    await run(made(world, checkpoint_ms=60_000), world, batch(0), batch(1))
    assert world.done == ["committed 0", *["taken", ACKNOWLEDGED] * 2]


async def test_a_checkpoint_is_made_though_nothing_arrives(world: World) -> None:
    """By the timer, and once."""
    stage = made(world, checkpoint_ms=60_000)
    await run(stage, world, batch(0))
    stage._checkpoint_s = 0.0
    await stage.tend()
    await stage.tend()
    assert world.done[3:] == ["state k", "mark 0", "confirmed 0", *EVERYWHERE, "committed 1"]


@pytest.mark.parametrize("fails", ["taken", "acknowledged", "state", "mark", "confirmed", "committed"])
async def test_an_error_ends_the_process_and_nothing_after_it_happens(world: World, fails: str) -> None:
    """Status 70, wherever it comes: whoever starts the worker again puts things right from its last mark."""
    world.fails = fails
    with pytest.raises(SystemExit) as ended:
        await run(made(world), world, batch(0), batch(1))
    assert ended.value.code == CRASHED == 70
    order = ["committed", "taken", "acknowledged", "state", "mark", "confirmed", "acknowledged", "acknowledged"]
    assert [each.split(" ")[0] for each in world.done] == order[: order.index(fails)]


async def test_an_error_of_the_timer_ends_the_process_too(world: World) -> None:
    """Status 70."""
    stage = made(world, checkpoint_ms=60_000)
    await run(stage, world, batch(0))
    stage._checkpoint_s, world.fails = 0.0, "mark"
    with pytest.raises(SystemExit) as ended:
        await or_crash(stage.tend())
    assert ended.value.code == CRASHED


async def test_a_hole_is_gone_back_to_and_nothing_is_taken_until_it_is_filled(world: World) -> None:
    """A batch that begins beyond the next offset was fetched after one that Faust dropped."""
    stage = made(world, checkpoint_ms=60_000)
    await run(stage, world, batch(0, 1), batch(5, 6), batch(7), batch(2, 3, 4, 5), batch(6, 7))
    assert world.taken == [0, 1, 2, 3, 4, 5, 6, 7]
    assert [each for each in world.done if each.startswith("sought")] == ["sought 2"]


async def test_offsets_that_were_never_records_are_no_hole(world: World) -> None:
    """Transaction marks: the fetch began at the next offset, though its first record lies beyond."""
    await run(made(world, checkpoint_ms=60_000), world, batch(0, 1), batch(4, 6, base=2), batch(9, base=7))
    assert world.taken == [0, 1, 4, 6, 9]
    assert not any(each.startswith("sought") for each in world.done)


async def test_what_overlaps_is_taken_once(world: World) -> None:
    """A batch repeated in part or whole after a rebalance: only what is new of it."""
    await run(made(world, checkpoint_ms=60_000), world, batch(0, 1, 2), batch(1, 2, 3), batch(0, 1, 2, 3), batch(4))
    assert world.taken == [0, 1, 2, 3, 4]
    assert world.done.count("taken") == 3


async def test_a_stage_goes_on_where_its_checkpoint_ends(world: World) -> None:
    """Not where the group's offset says: what a batch repeats is skipped, what it leaves out is a hole. What follows a
    mark is said again."""
    world.restored = Restored(4, b"mark", {})
    await run(made(world, checkpoint_ms=60_000), world, batch(3, 4, 5), batch(7))
    assert world.taken == [5]
    assert world.done[:4] == ["committed 5", "confirmed 4", *EVERYWHERE]
    assert world.done[-1] == "sought 6"


async def test_without_a_checkpoint_a_stage_begins_at_the_oldest_record(world: World) -> None:
    """What retention has deleted is no hole; what comes before the first batch is."""
    world.earliest = 100
    await run(made(world, checkpoint_ms=60_000), world, batch(105), batch(100, 101))
    assert world.taken == [100, 101]


async def test_records_deleted_unread_end_the_process(world: World) -> None:
    """They can never be read again: going back for ever would hide the loss."""
    world.restored, world.earliest = Restored(4, b"mark", {}), 50
    with pytest.raises(SystemExit) as ended:
        await run(made(world), world, batch(50))
    assert ended.value.code == CRASHED
    assert world.taken == []


async def test_a_batch_of_an_older_generation_is_ignored(world: World) -> None:
    """The partition may be another worker's by now."""
    world.generation = 2
    await run(made(world), world, Under(batch(0), 1))
    assert (world.taken, world.done, world.restores) == ([], [], 0)


async def test_nothing_is_taken_while_partitions_move(world: World) -> None:
    """No offset moves either."""
    world.is_moving = True
    await run(made(world), world, batch(0))
    assert (world.taken, world.done) == ([], [])


async def test_a_new_generation_restores_anew(world: World) -> None:
    """Another worker may have held the partition between the two: what this one remembers of it may be old."""
    stage = made(world, checkpoint_ms=60_000)
    await run(stage, world, batch(0, 1))
    world.generation, world.restored = 2, Restored(7, b"mark", {})
    await run(stage, world, batch(6, 7, 8))
    assert (world.taken, world.restores, world.folds) == ([0, 1, 8], 2, 2)


async def test_a_partition_that_was_taken_away_is_not_saved(world: World) -> None:
    """The timer finds it stale: no state, no mark, no offset; when it comes back it is restored."""
    stage = made(world, checkpoint_ms=60_000)
    await run(stage, world, batch(0))
    stage._checkpoint_s, world.is_moving = 0.0, True
    await stage.tend()
    assert world.done == ["committed 0", "taken", ACKNOWLEDGED]
    world.is_moving = False
    await run(stage, world, batch(0))
    assert (world.taken, world.restores) == ([0, 0], 2)


async def test_a_rebalance_during_a_checkpoint_moves_no_offset(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkpoint counts, the group's offset is the new owner's to move."""

    def note(what: str) -> None:
        world.done.append(what)
        world.is_moving |= what.startswith("mark")

    monkeypatch.setattr(world, "note", note)
    await run(made(world), world, batch(0))
    assert world.done[-3:] == ["confirmed 0", *EVERYWHERE]


async def test_who_was_superseded_marks_nothing_and_restores_anew(world: World) -> None:
    """The group does not take its offset any more: another worker may have the partition."""
    stage = made(world, checkpoint_ms=60_000)
    await run(stage, world, batch(0))
    world.done.clear()
    stage._checkpoint_s, world.accepts = 0.0, False
    world.now_s += 5.001
    await stage.tend()
    assert world.done == ["state k"]
    world.accepts = True
    await run(stage, world, batch(0))
    assert (world.restores, world.taken) == (2, [0, 0])


async def test_who_was_superseded_while_it_restored_takes_nothing(world: World) -> None:
    """What it has read may lack what a later owner has cleared up; the next assignment restores anew."""
    world.accepts = False
    stage = made(world)
    await run(stage, world, batch(0))
    await stage.tend()
    assert (world.taken, world.folds, world.done) == ([], 0, [])
    world.accepts = True
    await run(stage, world, batch(0))
    assert (world.taken, world.folds) == ([0], 1)


@pytest.mark.parametrize(("paused_s", "asked"), [(5.0, 0), (5.001, 1)])
async def test_after_a_pause_the_group_is_asked_before_a_mark(world: World, paused_s: float, asked: int) -> None:
    """Half the session after its last word, another worker may soon have the partition."""
    stage = made(world)
    await run(stage, world, batch(0))
    world.done.clear()
    world.now_s += paused_s
    await run(stage, world, batch(1))
    assert world.done[: world.done.index("mark 1")].count("committed 1") == asked


async def test_assigned_partitions_are_restored_before_their_first_batch(world: World) -> None:
    """Those of the stage's own topic."""
    stage = made(world)
    await stage.tend()
    await run(stage, world, batch(0))
    assert (world.restores, world.taken) == (1, [0])


async def test_a_silent_partition_is_told_the_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its own topic, once in a while; not while somebody speaks."""
    stage = made(world, checkpoint_ms=60_000)
    await stage.tend()
    world.done.clear()
    monkeypatch.setattr(module, "IDLE_S", 0.0)
    await stage.tend()
    assert world.done == [f"written {CHAT_EVENTS.name}/0 1"]


async def test_a_hole_at_the_end_of_the_log_is_found_by_the_consumers_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The consumer has read on, but nothing came: what it read was dropped."""
    monkeypatch.setattr(module, "SEEK_AGAIN_S", -1.0)
    stage = made(world, checkpoint_ms=60_000)
    await run(stage, world, batch(0, 1))
    for position in (None, 2, 5):
        world.at = position
        await stage.tend()
    assert [each for each in world.done if each.startswith("sought")] == ["sought 2"]
