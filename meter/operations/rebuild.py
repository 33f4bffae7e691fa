"""Making state again from its topic: the state is removed, and workers read everything once more.

What they write then has the same ids and the same versions as before, so readers replace each statement by an equal
one, and wallets recognise the updates of events that they have processed.
"""

from collections.abc import Sequence
from typing import NamedTuple

from meter.kafka.admin import compare_topics
from meter.kafka.reader import records
from meter.kafka.topics import KafkaTopics
from meter.operations.accept_loss import LOST
from meter.operations.cluster import Ends, OperationError, commit, ends_of, finished_layout, found_in, require_stopped
from meter.operations.marks import remove_state
from meter.operations.stages import StageTopics
from meter.settings import Settings
from schemas.dead_letters import CODE, TOPIC
from schemas.topics import DEAD_LETTERS, METER_GROUP


class Again(NamedTuple):
    """One partition whose state is made again, and the offsets of its source that are read again."""

    stage: StageTopics
    partition: int
    ends: Ends


async def plan(settings: Settings, stages: Sequence[StageTopics]) -> list[Again]:
    """Return what would be made again.

    Raises OperationError while workers run, if records are deleted that the state is made of, if a loss was accepted,
    and if the topics were repartitioned.
    """
    bootstrap = settings.kafka_bootstrap_servers
    compared = await compare_topics(bootstrap)
    if compared.uneven:
        raise OperationError(compared.uneven)
    await require_stopped(bootstrap, settings.kafka_session_timeout_s)
    layout = await finished_layout(settings)
    if layout is not None and layout.generation > 0:
        raise OperationError(
            "the topics were repartitioned, so state cannot be made again from them: keep the state that there is, or "
            "run `python -m meter begin-anew`"
        )
    planned: list[Again] = []
    accepted = await _accepted_losses(bootstrap)
    for stage in stages:
        if stage.source.name in accepted:
            raise OperationError(
                f"a loss of {stage.source.name} was accepted, and {stage.state.name} would not count it if it were "
                "made again: keep the state that there is, or run `python -m meter begin-anew`"
            )
        ends = await ends_of(bootstrap, stage.source, compared.identities[stage.source.name].partitions)
        for partition, each in sorted(ends.items()):
            if each.beginning > 0:
                raise OperationError(
                    f"the records of {stage.source.name}/{partition} before offset {each.beginning} are deleted, and "
                    f"{stage.state.name} cannot be made again without them: keep the state that there is, or run "
                    "`python -m meter begin-anew`"
                )
            planned.append(Again(stage, partition, each))
    return planned


async def _accepted_losses(bootstrap: str) -> set[str]:
    """Return the topics of which a loss was accepted: there is a dead letter that says so."""
    found: set[str] = set()
    async for letter in records(bootstrap, DEAD_LETTERS):
        headers = dict(letter.headers)
        if headers.get(CODE) == LOST.encode():
            found.add((headers.get(TOPIC) or b"").decode("utf-8", "replace"))
    return found


async def rebuild(settings: Settings, planned: Sequence[Again]) -> None:
    """Remove the state, so that the next workers make it again. May be repeated after it broke off."""
    bootstrap = settings.kafka_bootstrap_servers
    topics = KafkaTopics(bootstrap, idempotent=settings.kafka_idempotent)
    await topics.start()
    try:
        for stage in {again.stage.state.name: again.stage for again in planned}.values():
            found = await found_in(bootstrap, stage.state)
            for again in planned:
                if again.stage.state is stage.state and again.partition in found:
                    await remove_state(topics, stage.state, again.partition, found[again.partition])
        offsets = {(again.stage.source.name, again.partition): again.ends.beginning for again in planned}
        await commit(bootstrap, METER_GROUP, offsets)
    finally:
        await topics.stop()
