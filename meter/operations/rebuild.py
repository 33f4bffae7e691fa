"""Making state again from its topic: a new generation of state that begins at the oldest record.

One record a partition does it: a mark of the next generation, without entries, before the oldest record. Blocks and
marks of earlier generations do not count under it. A worker then reads everything once more, and what it writes has the
same ids and versions as before, so readers replace each statement by an equal one.
"""

from collections.abc import Sequence
from typing import NamedTuple

from meter.kafka.admin import compare_topics
from meter.kafka.topics import KafkaTopics
from meter.operations.cluster import Ends, OperationError, Saved, commit, ends_of, newest_marks, require_stopped
from meter.operations.marks import write_mark
from meter.operations.stages import StageTopics
from meter.settings import Settings
from meter.stage.mark import Life, Version, new_mark
from schemas.topic_identity import TopicIdentity
from schemas.topics import METER_GROUP


class Again(NamedTuple):
    """One partition whose state is made again: the generation that begins, and the offsets that are read again."""

    stage: StageTopics
    partition: int
    generation: int
    ends: Ends


async def plan(settings: Settings, stages: Sequence[StageTopics]) -> tuple[list[Again], dict[str, TopicIdentity]]:
    """Return what would be made again, and the identities of the topics.

    Raises OperationError while workers run, or if records are deleted that the state is made of.
    """
    bootstrap = settings.kafka_bootstrap_servers
    compared = await compare_topics(bootstrap)
    if compared.uneven:
        raise OperationError(compared.uneven)
    await require_stopped(bootstrap, settings.kafka_session_timeout_s)
    planned: list[Again] = []
    for stage in stages:
        marks = await newest_marks(bootstrap, stage.state)
        ends = await ends_of(bootstrap, stage.source, compared.identities[stage.source.name].partitions)
        for partition, each in sorted(ends.items()):
            if each.beginning > 0:
                raise OperationError(
                    f"the records of {stage.source.name}/{partition} before offset {each.beginning} are deleted, and "
                    f"{stage.state.name} cannot be made again without them: keep the state that there is, or run "
                    "`python -m meter begin-anew`"
                )
            planned.append(Again(stage, partition, _generation(marks.get(partition)), each))
    return planned, compared.identities


def _generation(saved: Saved | None) -> int:
    return saved.version.generation + 1 if saved else 0


async def rebuild(settings: Settings, planned: Sequence[Again], identities: dict[str, TopicIdentity]) -> None:
    """Throw the state away, so that the next workers make it again. May be repeated after it broke off."""
    bootstrap = settings.kafka_bootstrap_servers
    topics = KafkaTopics(bootstrap, idempotent=settings.kafka_idempotent)
    await topics.start()
    try:
        for again in planned:
            source, state = again.stage.source, again.stage.state
            life = Life(again.generation, identities[source.name], identities[state.name])
            version = Version(again.generation, again.ends.beginning - 1)
            await write_mark(topics, state, again.partition, version, new_mark(life, -1, (), b""))
            await commit(bootstrap, METER_GROUP, {(source.name, again.partition): again.ends.beginning})
    finally:
        await topics.stop()
