"""The act that gives all topics more partitions, while no worker of either program runs."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from schemas.topics import CHAT_EVENTS
from tests.chaos.act import Act
from tests.chaos.operator_acts import require_refusal
from tests.chaos.scene import Scene


def partitions_added(scene: Scene, act: Act) -> None:
    """Let the command add them. Early: Kafka's administration adds those of chat-events, and others write to them."""
    for program in ("meter", "aggregator"):
        scene.end(program, kills=act.kills)
    command = ("meter", "repartition", "--to", str(act.partitions))
    if act.is_early:
        asyncio.run(_add(scene.bootstrap, act.partitions))
        scene.feed_until_gate()
        require_refusal(scene.fleet, "meter", f"python -m {' '.join(command)}")
    scene.operator.do(*command, "--yes", cut_s=act.cut_s)
    for program in ("meter", "aggregator"):
        scene.start(program)


async def _add(bootstrap: str, partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_partitions({CHAT_EVENTS.name: NewPartitions(partitions)})
    finally:
        await admin.close()
