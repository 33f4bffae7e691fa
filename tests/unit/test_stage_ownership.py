"""The stage: what it does with a partition that moves, or may have moved without its knowing."""

import pytest

from meter.stage.checkpoints import Restored
from tests.unit.stage_fakes import ACKNOWLEDGED, CONFIRMED, Under, World, batch, made, run


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


async def test_a_new_generation_restores_what_another_has_held(world: World) -> None:
    """What this one remembers of the partition is old."""
    stage = made(world, checkpoint_ms=60_000)
    await run(stage, world, batch(0, 1))
    world.generation, world.restored = 2, Restored(7, 1)
    await run(stage, world, batch(6, 7, 8))
    assert (world.taken, world.restores, world.folds) == ([0, 1, 8], 2, 2)


async def test_a_partition_that_nobody_else_has_held_goes_on_as_it_is(world: World) -> None:
    """Partitions were distributed anew and this one came back: its state is the newest there is, marked or not."""
    stage = made(world, checkpoint_ms=60_000)
    await run(stage, world, batch(0, 1))
    world.generation, world.is_newest = 2, True
    await run(stage, world, batch(0, 1, 2))
    assert (world.taken, world.restores) == ([0, 1, 2], 1)
    assert world.done == ["committed 0", "taken", "committed 0", "taken"]


async def test_a_partition_that_is_gone_is_forgotten(world: World) -> None:
    """Its state is another worker's, and only takes memory."""
    stage = made(world, checkpoint_ms=60_000)
    await run(stage, world, batch(0))
    world.generation, world.is_assigned = 2, False
    await stage.run_periodic()
    world.generation, world.is_assigned, world.is_newest = 3, True, True
    await stage.run_periodic()
    assert world.restores == 2


async def test_a_partition_that_was_taken_away_is_not_saved(world: World) -> None:
    """The timer finds it stale: no state, no mark, no offset."""
    stage = made(world, checkpoint_ms=60_000)
    await run(stage, world, batch(0))
    stage._checkpoint_s, world.is_moving = 0.0, True
    await stage.run_periodic()
    assert world.done == ["committed 0", "taken"]


async def test_a_rebalance_during_a_checkpoint_moves_no_offset(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkpoint counts, the group's offset is the new owner's to move."""

    def note(what: str) -> None:
        world.done.append(what)
        world.is_moving |= what.startswith("mark")

    monkeypatch.setattr(world, "note", note)
    await run(made(world), world, batch(0))
    assert world.done[-2:] == ["confirmed 0", CONFIRMED]


async def test_who_was_superseded_marks_nothing_and_restores_anew(world: World) -> None:
    """The group does not take its offset any more: another worker may have the partition."""
    stage = made(world, checkpoint_ms=60_000)
    await run(stage, world, batch(0))
    world.done.clear()
    stage._checkpoint_s, world.accepts = 0.0, False
    world.now_s += 5.001
    await stage.run_periodic()
    assert world.done == [ACKNOWLEDGED, "state k"]
    world.accepts = True
    await run(stage, world, batch(0))
    assert (world.restores, world.taken) == (2, [0, 0])


async def test_who_was_superseded_while_it_restored_takes_nothing(world: World) -> None:
    """What it has read may lack what a later owner has cleared up; the next assignment restores anew."""
    world.accepts = False
    stage = made(world)
    await run(stage, world, batch(0))
    await stage.run_periodic()
    assert (world.taken, world.done) == ([], [])
    world.accepts = True
    await run(stage, world, batch(0))
    assert world.taken == [0]


@pytest.mark.parametrize(("paused_s", "asked"), [(5.0, 0), (5.001, 1)])
async def test_after_a_pause_the_group_is_asked_before_a_mark(world: World, paused_s: float, asked: int) -> None:
    """Half the session after its last word, another worker may soon have the partition."""
    stage = made(world)
    await run(stage, world, batch(0))
    world.done.clear()
    world.now_s += paused_s
    await run(stage, world, batch(1))
    assert world.done[: world.done.index("mark 1")].count("committed 1") == asked
