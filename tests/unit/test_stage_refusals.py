"""The stage: what it refuses to go on with, and how it leaves a record out."""

import pytest
from msgspec.structs import replace

from meter.stage.careful import Careful, Suspects
from meter.stage.checkpoints import Restored
from meter.stage.evidence import ATTEMPT
from schemas.exit_statuses import REFUSED
from schemas.topic_identity import TopicIdentity
from schemas.topics import CHAT_EVENTS, CONVERSATION_STATE
from tests.unit.stage_fakes import ACKNOWLEDGED, LIFE, World, batch, made, run


async def refused(world: World, *offsets: int) -> None:
    """The worker ends with its own status before it has processed anything."""
    with pytest.raises(SystemExit) as ended:
        await run(made(world), world, batch(*offsets))
    assert ended.value.code == REFUSED == 78
    assert world.taken == []


async def test_partitions_that_were_added_end_the_worker(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    """One sentence on standard error, which names the command; no traceback."""
    world.identities[CHAT_EVENTS.name] = TopicIdentity("cluster", CHAT_EVENTS.name, 4)
    await refused(world, 0)
    said = capfd.readouterr().err
    assert said.startswith("Error: chat-events has 4 partitions, and conversation-state has 2: ")
    assert said.endswith("run `python -m meter repartition --to 4 --yes`, which moves their state\n")
    assert said.count("\n") == 1


async def test_partitions_that_are_added_while_a_worker_runs_end_it(world: World) -> None:
    """The group assigns the partitions again, and the state in memory is no reason to go on."""
    stage = made(world, checkpoint_ms=60_000)
    await run(stage, world, batch(0))
    for topic in (CHAT_EVENTS, CONVERSATION_STATE):
        world.identities[topic.name] = TopicIdentity("cluster", topic.name, 4)
    world.generation, world.is_newest = 2, True
    with pytest.raises(SystemExit) as ended:
        await run(stage, world, batch(1))
    assert (ended.value.code, world.taken) == (REFUSED, [0])


async def test_a_log_that_ends_before_the_checkpoint_ends_the_worker(world: World) -> None:
    """Its records were acknowledged and are gone. New ones get their offsets, and would be skipped as repeats."""
    world.restored, world.log_end = Restored(249, 1), 100
    await refused(world, 250)


async def test_a_log_that_was_filled_again_ends_the_worker(world: World) -> None:
    """It has lost its end and has grown beyond the checkpoint since. The epoch of the last record ends before it."""
    world.restored, world.epoch_marked, world.epoch_ends = Restored(249, 1), 3, {3: 249}
    await refused(world, 250)


async def test_a_log_whose_epoch_reaches_the_checkpoint_is_read_on(world: World) -> None:
    """Another broker leads, which has all."""
    world.restored, world.epoch_marked, world.epoch_ends = Restored(249, 1), 3, {3: 250}
    await run(made(world), world, batch(250, epoch=4))
    assert (world.taken, world.epochs_marked) == ([250], [4])


async def test_a_log_that_is_filled_again_under_a_worker_ends_it(world: World) -> None:
    """What it has processed is saved before: its outputs are sent, so the next start has to refuse too."""
    stage = made(world, checkpoint_ms=60_000)
    await run(stage, world, batch(0, 1, epoch=3))
    world.epoch_ends = {3: 1}
    with pytest.raises(SystemExit) as ended:
        await run(stage, world, batch(2, epoch=4))
    assert (ended.value.code, world.taken, world.epochs_marked) == (REFUSED, [0, 1], [3])
    assert "mark 1" in world.done


async def test_a_log_that_becomes_shorter_than_what_was_processed_ends_the_worker(world: World) -> None:
    """Not only if it is shorter than the checkpoint: the records between would be skipped as repeats."""
    stage = made(world, checkpoint_ms=60_000)
    world.restored = Restored(4, 1)
    await run(stage, world, batch(5, 6, 7))
    world.log_end = 6
    with pytest.raises(SystemExit) as ended:
        await run(stage, world, batch(0, 1))
    assert (ended.value.code, "mark 7" in world.done) == (REFUSED, True)


async def test_an_emptied_state_topic_ends_the_worker(world: World) -> None:
    """The group has read on, the records before are deleted: the state cannot come back by itself."""
    world.earliest, world.committed_offset = 100, 200
    await refused(world, 100)


async def test_records_that_come_again_long_after_are_looked_into(world: World) -> None:
    """A topic that is created again while a worker runs begins at 0, and its events would be skipped as repeats."""
    stage = made(world)
    await run(stage, world, batch(0, 1, 2, 3))
    world.identities[CHAT_EVENTS.name] = replace(LIFE.source, topic_id="created again")
    with pytest.raises(SystemExit) as ended:
        await run(stage, world, batch(0, 1))
    assert ended.value.code == REFUSED


async def test_a_record_that_is_left_out_is_not_processed(world: World) -> None:
    """Its dead letter is sent like any output, and the records round it are processed as ever."""
    stage = made(world, checkpoint_ms=60_000)
    await stage.run_periodic()
    (partition,) = stage._partitions.values()
    partition.checkpoints.quarantine.left_out[2] = "value: three ended"
    await run(stage, world, batch(0, 1, 2, 3), batch(4))
    assert world.taken == [0, 1, 3, 4]
    assert [each for each in world.done if each != "taken"] == ["committed 0", "left out 2: value: three ended"]


async def test_careful_processing_saves_each_slice(world: World) -> None:
    """An attempt is acknowledged before the fold gets the record, and a checkpoint follows it."""
    stage = made(world, checkpoint_ms=60_000)
    await stage.run_periodic()
    (partition,) = stage._partitions.values()
    partition.checkpoints.quarantine.careful = Careful([Suspects(0, 1)])
    world.done.clear()
    await run(stage, world, batch(0, 1, 2))
    saved = [ACKNOWLEDGED, "state k"]
    once = ["taken", *saved, "mark 0", "confirmed 0", f"{ACKNOWLEDGED}/1", "committed 1"]
    assert world.done[: len(once)] == once
    assert world.done[-1] == "taken"
    attempts = [record for record in world.state_records if record.key and record.key[:1] == ATTEMPT]
    assert len(attempts) == 4
    assert partition.checkpoints.quarantine.careful is None


async def test_an_exception_is_written_before_the_worker_ends(world: World) -> None:
    """The next owner knows at once among which records to look."""
    world.fails = "taken"
    with pytest.raises(SystemExit):
        await run(made(world), world, batch(0, 1))
    assert b"RuntimeError: taken" in (world.state_records[-1].value or b"")
