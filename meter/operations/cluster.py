"""Asking the cluster: offsets and identities of topics, members of the groups, and the newest marks."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from meter.kafka import admin as topics_admin
from meter.kafka import reader
from meter.kafka.epochs import ask_end_of_epoch
from meter.kafka.layouts import command, read_layout
from meter.kafka.topics import KafkaTopics
from meter.settings import Settings
from meter.stage.found import Found
from meter.stage.mark import Mark, Version
from schemas.layout import LayoutRecord
from schemas.topics import AGGREGATOR_GROUP, METER_GROUP, NOTIFY_GROUPS, NOTIFY_MAIL_GROUP, Topic

LOOK_S: Final = 0.25
"""The pause between two looks at a group."""


class OperationError(Exception):
    """A command of an operator cannot be carried out. The message is one sentence that says what to do."""


async def finished_layout(settings: Settings) -> LayoutRecord | None:
    """Return the layout; None if there is none yet. Raises OperationError while a repartition is unfinished."""
    topics = KafkaTopics(settings.kafka_bootstrap_servers, idempotent=False)
    await topics.start()
    try:
        layout = await read_layout(topics)
    finally:
        await topics.stop()
    if layout is not None and layout.step != "done":
        raise OperationError(
            f"a repartition is unfinished, and has to come to its end first: run `{command(layout.partitions)}`"
        )
    return layout


class Ends(NamedTuple):
    """The oldest offset that a partition has, and the offset after its last record."""

    beginning: int
    end: int


async def require_stopped(bootstrap: str, wait_s: float, groups: Iterable[str] = (METER_GROUP,)) -> None:
    """Wait until no worker is a member of one of the groups, at most `wait_s`: a group forgets a killed one late.

    Raises OperationError if one still is, and BrokerAwayError.
    """
    async with topics_admin.connected(bootstrap) as admin:
        for group in groups:
            for _ in range(1 + int(wait_s / LOOK_S)):
                if not (count := await _members(admin, group)):
                    break
                await asyncio.sleep(LOOK_S)
            else:
                program = "aggregator" if group == AGGREGATOR_GROUP else "meter"
                raise OperationError(
                    f"{count} workers of the {program} still run: stop all of them first; one that was killed is "
                    "forgotten after the KAFKA_SESSION_TIMEOUT_S that it had"
                )


async def notify_groups(bootstrap: str) -> list[str]:
    """Return the groups of `python -m meter notify`: that of mail, and those of endpoints that the cluster names."""
    async with topics_admin.connected(bootstrap) as admin:
        listed = {str(each[0]) for each in await admin.list_consumer_groups()}
    return sorted({NOTIFY_MAIL_GROUP} | {each for each in listed if each.startswith(NOTIFY_GROUPS)})


async def _members(admin: AIOKafkaAdminClient, group: str) -> int:
    for _ in range(20):
        try:
            (answer,) = await admin.describe_consumer_groups([group])
        except GroupCoordinatorNotAvailableError:  # The first question makes Kafka create its own topic.
            await asyncio.sleep(LOOK_S)
        else:
            return len(answer.groups[0][-1])
    raise OperationError("Kafka does not say whether workers run: wait until all its brokers are up")


@asynccontextmanager
async def group_consumer(bootstrap: str, group: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that reads and commits the offsets of a group without joining it."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def ends_of(bootstrap: str, topic: Topic, partitions: int) -> dict[int, Ends]:
    """Return the ends of each partition of a topic.

    A fetch at the end confirms it: asked for ends, the embedded broker answers too low where the last batch has several
    records.
    """
    tps = [TopicPartition(topic.name, number) for number in range(partitions)]
    async with group_consumer(bootstrap, METER_GROUP) as consumer:
        beginnings = await consumer.beginning_offsets(tps)
        ends = await consumer.end_offsets(tps)
        consumer.assign(tps)
        for tp in tps:
            consumer.seek(tp, ends[tp])
        for _ in range(20):
            await consumer.getmany(*tps, timeout_ms=100)
            if all(consumer.highwater(tp) is not None for tp in tps):
                break
        return {tp.partition: Ends(beginnings[tp], max(ends[tp], consumer.highwater(tp) or 0)) for tp in tps}


async def ends_of_epochs(bootstrap: str, topic: Topic, epochs: Mapping[int, int]) -> dict[int, int | None]:
    """Return the offset after the last record of a leader epoch, for each partition. None where it is not known."""
    async with topics_admin.connected(bootstrap) as admin:
        return {
            partition: await ask_end_of_epoch(admin._client, topic.name, partition, epoch)
            for partition, epoch in epochs.items()
        }


async def commit(bootstrap: str, group: str, offsets: Mapping[tuple[str, int], int]) -> None:
    """Make these the group's offsets. The group must have no members."""
    if offsets:
        async with group_consumer(bootstrap, group) as consumer:
            tps = {TopicPartition(*tp): offset for tp, offset in offsets.items()}
            consumer.assign(list(tps))
            await consumer.commit(tps)


class Saved(NamedTuple):
    """The newest mark of a partition of a state topic, and when it was written, in ms since 1970."""

    version: Version
    mark: Mark
    saved_ms: int


async def newest_marks(bootstrap: str, state: Topic) -> dict[int, Saved]:
    """Return the newest mark of each partition of a state topic that has one. Raises ValueError, NewerFormatError."""
    times: dict[tuple[int, Version], int] = {}
    found = await found_in(bootstrap, state, times)
    newest = {partition: each.newest() for partition, each in found.items()}
    return {
        partition: Saved(marked.version, marked.mark, times[partition, marked.version])
        for partition, marked in newest.items()
        if marked is not None
    }


async def found_in(
    bootstrap: str, state: Topic, times: dict[tuple[int, Version], int] | None = None
) -> dict[int, Found]:
    """Return the marks and blocks of each partition of a state topic. Raises ValueError, NewerFormatError.

    `times` gets the time of each mark, in ms, by its partition and version.
    """
    found: dict[int, Found] = {}
    async for record in reader.records(bootstrap, state):
        part = found.setdefault(record.partition, Found(f"{state.name}/{record.partition}", keeps=False))
        part.add(record)
        if times is not None and record.key in part.marks:
            times[record.partition, part.marks[record.key].version] = record.timestamp
    return found
