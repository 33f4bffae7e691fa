"""`python -m meter repartition`: what it would do, and doing it against a cluster (docs/adr/0029)."""

import asyncio
from secrets import token_hex
from typing import Final, NamedTuple

from aiokafka.admin import NewPartitions
from aiokafka.errors import IncompatibleBrokerVersion
from msgspec.structs import replace

from meter.kafka.admin import compare_topics, connected
from meter.kafka.layouts import read_layout, write_layout
from meter.kafka.topics import KafkaTopics
from meter.operations.cluster import OperationError, commit, newest_marks, notify_groups, require_stopped
from meter.operations.repartition.checks import Planned, check_clocks, check_drained, planned
from meter.operations.repartition.copying import Copied, Progress
from meter.operations.repartition.draining import Draining, Marks
from meter.operations.repartition.routes import Routes
from meter.operations.repartition.steps import clear_up, finish, move_state
from meter.operations.stages import STAGES
from meter.settings import Settings
from schemas.layout import LayoutRecord
from schemas.topics import AGGREGATOR_GROUP, METER_GROUP, PAYMENTS_GROUP, TOPICS

GROUPS: Final = (METER_GROUP, PAYMENTS_GROUP, AGGREGATOR_GROUP)
KNOWN_S: Final = 30.0
"""How long the brokers may take to know the partitions that were added."""


class Repartition(NamedTuple):
    """A repartition that may begin or go on. Returned by `plan`."""

    planned: Planned
    layout: LayoutRecord | None
    """The layout that there is; None before any."""
    marks: Marks


async def plan(settings: Settings, after: int) -> Repartition:
    """Return what would be done. Raises OperationError while workers of either program run, or if it cannot be done.

    Raises BrokerAwayError and TopicsMissingError, too.
    """
    bootstrap = settings.kafka_bootstrap_servers
    compared = await compare_topics(bootstrap)
    await _require_stopped(settings)
    topics = KafkaTopics(bootstrap, idempotent=False)
    await topics.start()
    try:
        layout = await read_layout(topics)
    finally:
        await topics.stop()
    is_begun = layout is not None and layout.step != "done"
    marks = {} if is_begun else await _marks(settings)
    return Repartition(planned(layout, compared.identities, marks, after), layout, marks)


async def _require_stopped(settings: Settings) -> None:
    """Wait until no worker runs. `notify` reads receipts of all partitions, and knows how many those are."""
    bootstrap = settings.kafka_bootstrap_servers
    groups = (*GROUPS, *await notify_groups(bootstrap))
    await require_stopped(bootstrap, settings.kafka_session_timeout_s, groups)


async def _marks(settings: Settings) -> Marks:
    return {stage.state.name: await newest_marks(settings.kafka_bootstrap_servers, stage.state) for stage in STAGES}


async def repartition(
    settings: Settings, wanted: Repartition, progress: Progress, *, advance_clocks: bool = False
) -> Copied | None:
    """Do what was planned. May be repeated after it broke off. Returns what was copied, unless it was copied before.

    Raises OperationError and LayoutError.
    """
    layout = wanted.planned.layout
    assert layout is not None, "there is something to do"
    if wanted.layout is None or wanted.layout.step == "done":
        marks = await _drain(settings, layout, wanted.marks, progress)
        if not advance_clocks:
            check_clocks(marks, Routes.of(layout))
    if layout.step == "begun":
        await _begin(settings, wanted.layout, layout)
        # From here on no worker starts. One that has started meanwhile may have written since.
        await _require_stopped(settings)
        await _drain(settings, layout, await _marks(settings), progress)
        progress.phase("adding partitions", None)
        await add_partitions(settings, layout.partitions)
    topics = KafkaTopics(settings.kafka_bootstrap_servers, idempotent=settings.kafka_idempotent)
    await topics.start()
    try:
        copied = await move_state(topics, progress)
        await clear_up(topics, progress)
        await _commit_marks(settings, layout.partitions)
        await finish(topics)
    finally:
        await topics.stop()
    return copied


async def _drain(settings: Settings, layout: LayoutRecord, marks: Marks, progress: Progress) -> Marks:
    """Read what is left with the former number of partitions. Returns the marks after that."""
    newest = await Draining(settings, layout.before, marks, progress).drain()
    now = await _marks(settings)
    check_drained(now, layout.before, newest)
    return now


async def _begin(settings: Settings, before: LayoutRecord | None, layout: LayoutRecord) -> None:
    """Write that the repartition has begun, by this command: an earlier one that still runs cannot end it."""
    topics = KafkaTopics(settings.kafka_bootstrap_servers, idempotent=settings.kafka_idempotent)
    await topics.start()
    try:
        if before is None:
            await write_layout(topics, LayoutRecord(generation=0, partitions=layout.before))
        await write_layout(topics, replace(layout, owner=token_hex(8)))
    finally:
        await topics.stop()


async def add_partitions(settings: Settings, after: int) -> None:
    """Give every topic `after` partitions, and wait until the brokers know them. Raises OperationError."""
    bootstrap = settings.kafka_bootstrap_servers
    async with connected(bootstrap) as admin:
        counts = await _counts(bootstrap)
        wanted = {topic.name: NewPartitions(after) for topic in TOPICS if counts[topic.name] < after}
        if not wanted:
            return
        try:
            await admin.create_partitions(wanted)
        except IncompatibleBrokerVersion as error:
            raise OperationError("this broker cannot add partitions to a topic") from error
    for _ in range(int(KNOWN_S / 0.2)):
        if set((await _counts(bootstrap)).values()) == {after}:
            return
        await asyncio.sleep(0.2)
    raise OperationError("the brokers do not know the partitions that were added yet: run the command again")


async def _counts(bootstrap: str) -> dict[str, int]:
    identities = (await compare_topics(bootstrap)).identities
    return {name: identity.partitions for name, identity in identities.items()}


async def _commit_marks(settings: Settings, after: int) -> None:
    """Make the offsets of the group those of the new marks, which decide where workers go on."""
    bootstrap = settings.kafka_bootstrap_servers
    offsets = {}
    for stage in STAGES:
        marks = await newest_marks(bootstrap, stage.state)
        for number in range(after):
            offsets[stage.source.name, number] = marks[number].version.offset + 1
    await commit(bootstrap, METER_GROUP, offsets)
