"""Acts that delete a topic and create it again: a source, a topic of state, or one that the aggregator reads."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from meter.kafka.topics import KafkaTopics
from meter.operations.cluster import newest_marks
from meter.operations.stages import STAGES
from schemas.topics import METER_GROUP, Topic
from tests.chaos import logs
from tests.chaos.act import Act
from tests.chaos.judgement import is_own
from tests.chaos.operator_acts import AGAIN, ActError, delete_topic, require_refusal
from tests.chaos.scene import Scene

STATES: Final = {stage.state.name: stage for stage in STAGES}


def source_again(scene: Scene, act: Act) -> None:
    """A source topic after all of it was read: nothing is lost, and each partition with a checkpoint says so once."""
    scene.drain()
    scene.end("meter", kills=act.kills)
    read = asyncio.run(logs.committed(scene.bootstrap, METER_GROUP, act.topic))
    former = asyncio.run(logs.read_all(scene.bootstrap, act.topic))
    _require_read(former, read)
    _create_again(scene, act.topic)
    if act.is_early:
        scene.feed_until_gate()
    require_refusal(scene.fleet, "meter", "python -m meter accept-loss")
    scene.operator.do("meter", "accept-loss", "--yes", cut_s=act.cut_s)
    aftermath = scene.aftermath
    aftermath.former = former
    aftermath.lost = [(act.topic, partition, offset) for partition, offset in read.items() if offset]
    starts = asyncio.run(logs.committed(scene.bootstrap, METER_GROUP, act.topic))
    aftermath.starts = {(act.topic, partition): offset for partition, offset in starts.items()}
    scene.start("meter")


def _require_read(records: Sequence[logs.Record], read: dict[int, int]) -> None:
    """Check that what the group has not read was written by the product: a worker that starts repeats the policy."""
    unread = [each for each in records if each.offset >= read[each.partition] and not is_own(each)]
    if unread:
        raise ActError(f"{len(unread)} records of others would be lost unread, the first is {unread[0]}")


def state_again(scene: Scene, act: Act) -> None:
    """A topic of state. Early: while workers run, so that they write the rest of their state to the new one."""
    scene.drain()
    if act.is_early:
        _create_again(scene, act.topic)
        scene.feed_until_gate()
        time.sleep(scene.plan.checkpoint_ms / 1000)
        scene.end("meter", kills=act.kills)
        if asyncio.run(_is_a_part(scene.bootstrap, STATES[act.topic].state)):
            require_refusal(scene.fleet, "meter", "python -m meter rebuild")
            scene.operator.do("meter", "rebuild", "--yes", cut_s=act.cut_s)
    else:
        scene.end("meter", kills=act.kills)
        _create_again(scene, act.topic)
    scene.start("meter")


async def _is_a_part(bootstrap: str, state: Topic) -> bool:
    """Whether workers have saved to a topic of state that was another one when they began.

    They have not if nothing came, or if the group has given all partitions again: then all is read again.
    """
    topics = KafkaTopics(bootstrap, idempotent=True)
    await topics.start()
    try:
        now = await topics.identity(state.name)
    finally:
        await topics.stop()
    marks = await newest_marks(bootstrap, state)
    return any(not saved.mark.life.state.is_same_life(now) for saved in marks.values())


def output_again(scene: Scene, act: Act) -> None:
    """A topic that the aggregator reads, once it is in ClickHouse: the rows stay. Early: the meter writes meanwhile."""
    scene.drain()
    scene.end("aggregator", kills=act.kills)
    _create_again(scene, act.topic)
    if act.is_early:
        scene.feeding.go_on()
    require_refusal(scene.fleet, "aggregator", "python -m aggregator rebuild")
    scene.operator.do("aggregator", "rebuild", "--keep-rows", "--yes", cut_s=act.cut_s)
    scene.start("aggregator")


def _create_again(scene: Scene, topic: str) -> None:
    delete_topic(scene.bootstrap, topic)
    for _ in range(AGAIN):  # The broker may still delete the former one.
        if f"created  {topic}" in scene.operator.do("meter", "topics"):
            return
    raise ActError(f"the topic {topic} could not be created again")
