"""The stage: in which order its effects come, and what it takes of what Faust hands it."""

import asyncio

import pytest

from meter.stage import stage as module
from meter.stage.checkpoints import Restored
from meter.worker import or_crash
from schemas.exit_statuses import CRASHED, REFUSED
from schemas.topics import CHAT_EVENTS
from tests.unit.stage_fakes import ACKNOWLEDGED, CONFIRMED, World, batch, made, run


async def test_effects_come_in_the_order_that_makes_a_crash_harmless(world: World) -> None:
    """A sign of life from the group once the state is restored; outputs acknowledged, then state, then the mark, then
    what may only be said after it, acknowledged, and last the group's offset."""
    await run(made(world), world, batch(0, 1, 2))
    assert world.done == [
        "committed 0",
        "taken",
        ACKNOWLEDGED,
        "state k",
        "mark 2",
        "confirmed 2",
        CONFIRMED,
        "committed 3",
    ]


async def test_between_checkpoints_only_outputs_leave(world: World) -> None:
    """No state, no mark and no offset before a checkpoint is due; it waits for the acknowledgements of all batches."""
    stage = made(world, checkpoint_ms=60_000)
    await run(stage, world, batch(0), batch(1))
    assert world.done == ["committed 0", "taken", "taken"]
    stage._checkpoint_s = 0.0
    await stage.run_periodic()
    assert world.done[3:6] == [ACKNOWLEDGED, ACKNOWLEDGED, "state k"]


async def test_a_checkpoint_is_made_though_nothing_arrives(world: World) -> None:
    """By the timer, and once."""
    stage = made(world, checkpoint_ms=60_000)
    await run(stage, world, batch(0))
    stage._checkpoint_s = 0.0
    await stage.run_periodic()
    await stage.run_periodic()
    assert world.done[2:] == [ACKNOWLEDGED, "state k", "mark 0", "confirmed 0", CONFIRMED, "committed 1"]


@pytest.mark.parametrize("fails", ["taken", "acknowledged", "state", "mark", "confirmed", "committed"])
async def test_an_error_ends_the_process_and_nothing_after_it_happens(world: World, fails: str) -> None:
    """Status 70, wherever it comes: the worker that is started again goes on from the last mark."""
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
        await or_crash(stage.run_periodic())
    assert ended.value.code == CRASHED


@pytest.mark.parametrize("cancelled", ["taken", "acknowledged", "state", "mark", "confirmed"])
async def test_a_cancelled_checkpoint_is_not_made_again_from_the_same_state(world: World, cancelled: str) -> None:
    """A worker that stops is cancelled anywhere, and its timer may come once more: the state is then restored first.

    The checkpoint that was cancelled has taken changes that it did not write, or has a mark as of this offset already.
    """
    stage = made(world)
    await stage.run_periodic()
    world.cancels = cancelled
    with pytest.raises(asyncio.CancelledError):
        await run(stage, world, batch(0))
    done = len(world.done)
    await stage.run_periodic()
    assert world.restores == 2
    assert not any(each.startswith(("state", "mark")) for each in world.done[done:])
    await run(stage, world, batch(0))
    assert "mark 0" in world.done[done:]


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
    world.restored = Restored(4, 1)
    await run(made(world, checkpoint_ms=60_000), world, batch(3, 4, 5), batch(7))
    assert world.taken == [5]
    assert world.done[:3] == ["committed 5", "confirmed 4", CONFIRMED]
    assert world.done[-1] == "sought 6"


async def test_without_a_checkpoint_a_stage_begins_at_the_oldest_record(world: World) -> None:
    """What retention has deleted is no hole; what comes before the first batch is."""
    world.earliest = 100
    await run(made(world, checkpoint_ms=60_000), world, batch(105), batch(100, 101))
    assert world.taken == [100, 101]


async def test_records_deleted_unread_end_the_process(world: World) -> None:
    """They can never be read again: going back for ever would hide the loss."""
    world.restored, world.earliest = Restored(4, 1), 50
    with pytest.raises(SystemExit) as ended:
        await run(made(world), world, batch(50))
    assert ended.value.code == REFUSED == 78
    assert world.taken == []


async def test_assigned_partitions_are_restored_before_their_first_batch(world: World) -> None:
    """Those of the stage's own topic."""
    stage = made(world)
    await stage.run_periodic()
    await run(stage, world, batch(0))
    assert (world.restores, world.taken) == (1, [0])


async def test_a_silent_partition_is_told_the_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its own topic, once in a while; not while events arrive."""
    stage = made(world, checkpoint_ms=60_000)
    await stage.run_periodic()
    world.done.clear()
    monkeypatch.setattr(module, "IDLE_S", 0.0)
    await stage.run_periodic()
    assert world.done == [f"written {CHAT_EVENTS.name}/0 1"]


async def test_a_hole_at_the_end_of_the_log_is_found_by_the_consumers_position(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The consumer has read on, but nothing came: what it read was dropped."""
    monkeypatch.setattr("schemas.delivery.QUIET_S", -1.0)
    monkeypatch.setattr("meter.stage.holes.SEEK_AGAIN_S", -1.0)
    stage = made(world, checkpoint_ms=60_000)
    await run(stage, world, batch(0, 1))
    for position in (None, 2, 5):
        world.at = position
        await stage.run_periodic()
    assert [each for each in world.done if each.startswith("sought")] == ["sought 2"]


async def test_what_waits_its_turn_is_no_hole(world: World) -> None:
    """While batches of other partitions are taken, one of this may be queued; only much later it must be lost."""
    stage = made(world, checkpoint_ms=600_000)
    await run(stage, world, batch(0, 1))
    world.at = 5
    for world.now_s in (6.0, 12.0, 20.0):
        stage._last_processed_s = world.now_s - 1.0
        await stage.run_periodic()
        assert not any(each.startswith("sought") for each in world.done)
    world.now_s = stage._last_processed_s = 21.0
    await stage.run_periodic()
    assert "sought 2" in world.done


async def test_a_quiet_partition_is_committed_again_now_and_then(world: World) -> None:
    """A commit of an old assignment may have moved the group's offset back; nothing else would move it on."""
    stage = made(world)
    await run(stage, world, batch(0, 1))
    world.done.clear()
    for world.now_s in (1.0, 6.0, 7.0, 12.0):
        await stage.run_periodic()
    assert world.done == ["committed 2", "committed 2"]
