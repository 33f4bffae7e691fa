"""Batches without a record: transaction markers, and what was aborted. A stage goes on behind them."""

from meter.kafka.fetched import Batch
from meter.stage import stage as module
from schemas.topics import CHAT_EVENTS
from tests.unit.stage_fakes import PARTITION, World, batch, made, run


def nothing(base: int, last_offset: int) -> Batch:
    return Batch(PARTITION, base, [], last_offset)


async def test_markers_are_no_holes(world: World) -> None:
    """Nothing is sought and nothing waited for: the next batch follows at once."""
    await run(made(world, checkpoint_ms=60_000), world, batch(0, 1), nothing(2, 2), batch(3), nothing(4, 9), batch(10))
    assert world.taken == [0, 1, 3, 10]
    assert not any(each.startswith("sought") for each in world.done)


async def test_the_end_of_the_log_is_committed_though_it_holds_no_record(world: World) -> None:
    """A checkpoint follows, so that no lag is left and a restart begins behind it."""
    await run(made(world), world, batch(0), nothing(1, 4))
    assert world.done[-1] == "committed 5"
    assert "mark 4" in world.done


async def test_a_batch_that_begins_with_what_was_aborted_is_no_hole(world: World) -> None:
    """Its base is what counts, not its first record; its end is beyond its last one."""
    aborted_first = Batch(PARTITION, 1, batch(4).records, 6)
    await run(made(world, checkpoint_ms=60_000), world, batch(0), aborted_first, batch(7))
    assert world.taken == [0, 4, 7]
    assert not any(each.startswith("sought") for each in world.done)


async def test_a_lost_marker_is_a_hole(world: World) -> None:
    """Faust may drop any batch, and which one it was cannot be seen afterwards."""
    await run(made(world, checkpoint_ms=60_000), world, batch(0), nothing(2, 2))
    assert "sought 1" in world.done


async def test_event_time_moves_while_only_aborted_records_come(world: World) -> None:
    """The stage writes a tick as if the partition were quiet."""
    stage = made(world, checkpoint_ms=60_000)
    await run(stage, world, batch(0))
    world.now_s += module.IDLE_S
    await run(stage, world, nothing(1, 2))
    await stage.run_periodic()
    assert world.done[-1] == f"written {CHAT_EVENTS.name}/0 1"


async def test_a_tick_that_is_fetched_at_once_is_no_hole(world: World) -> None:
    """The stage writes it and has not got it yet, while the consumer's position is behind it already."""
    stage = made(world, checkpoint_ms=60_000)
    await run(stage, world, batch(0))
    world.now_s += module.IDLE_S
    world.at = 2
    await stage.run_periodic()
    assert f"written {CHAT_EVENTS.name}/0 1" in world.done
    assert not any(each.startswith("sought") for each in world.done)
