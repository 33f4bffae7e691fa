"""Going on after a loss, with what was lost written down.

The order makes it safe to be killed anywhere: the dead letter that tells of the loss comes first, and the mark from
which workers go on comes last. Where a log has to be lifted, a mark in between says so, and no worker starts from it.
"""

from aiokafka import ConsumerRecord
from msgspec.structs import replace

from meter.kafka import reader
from meter.kafka.admin import compare_topics
from meter.kafka.epochs import UNKNOWN
from meter.kafka.records import Record
from meter.kafka.topics import KafkaTopics
from meter.operations.cluster import (
    Ends,
    OperationError,
    Saved,
    commit,
    ends_of,
    ends_of_epochs,
    finished_layout,
    newest_marks,
    require_stopped,
)
from meter.operations.lift import copy_up, fill
from meter.operations.losses import UNKNOWN_MS, Loss, Times, loss_of, plan_of
from meter.operations.marks import write_mark
from meter.operations.stages import STAGES, StageTopics
from meter.settings import Settings
from meter.stage.mark import Version
from schemas.dead_letters import DeadLetter
from schemas.topic_identity import TopicIdentity
from schemas.topics import DEAD_LETTERS, METER_GROUP

LOST = "lost"
"""The code of the dead letter of a loss."""


class Accepting:
    """Finds the losses of all partitions, and accepts them. `find` comes first."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._bootstrap = settings.kafka_bootstrap_servers
        self._saved: dict[tuple[str, int], Saved] = {}
        self._now: dict[str, TopicIdentity] = {}

    async def find(self) -> list[Loss]:
        """Return all losses. Raises OperationError while workers run, and where no loss is the reason."""
        compared = await compare_topics(self._bootstrap)
        if compared.uneven:
            raise OperationError(compared.uneven)
        await require_stopped(self._bootstrap, self._settings.kafka_session_timeout_s)
        await finished_layout(self._settings)
        self._now = compared.identities
        return [loss for stage in STAGES for loss in await self._losses_of(stage)]

    async def _losses_of(self, stage: StageTopics) -> list[Loss]:
        source, now = stage.source, self._now[stage.source.name]
        marks = await newest_marks(self._bootstrap, stage.state)
        ends = await ends_of(self._bootstrap, source, now.partitions)
        epochs = {partition: saved.mark.epoch for partition, saved in marks.items()}
        epoch_ends = await ends_of_epochs(self._bootstrap, source, epochs)
        losses = []
        for partition, saved in sorted(marks.items()):
            self._saved[source.name, partition] = saved
            loss = loss_of(source.name, partition, saved, now, ends[partition], epoch_ends[partition])
            losses += [await self._with_times(stage, loss, saved, ends[partition])] if loss else []
        return losses

    async def _with_times(self, stage: StageTopics, loss: Loss, saved: Saved, ends: Ends) -> Loss:
        """Return the loss with the times of what lies around it. A loss that is being accepted has them already."""
        if loss.times.saved_ms != UNKNOWN_MS:
            return loss
        source, partition = stage.source, loss.partition
        is_another = loss.kind == "another"
        before = None if is_another else await reader.one(self._bootstrap, source, partition, loss.first - 1)
        # A log without an end has nothing after it; one that was filled again has other records in place of the lost.
        start = {"deleted": ends.beginning, "shorter": ends.end}.get(loss.kind, loss.copy_from)
        after = await reader.first(self._bootstrap, source, partition, start)
        return loss._replace(times=Times(_time_of(before), saved.saved_ms, _time_of(after)))

    async def accept(self, losses: list[Loss]) -> int:
        """Write the losses down and let the stages go on after them. Returns how many records were written once more.

        May be repeated after it broke off.
        """
        topics = KafkaTopics(self._bootstrap, idempotent=self._settings.kafka_idempotent)
        await topics.start()
        try:
            stages = {stage.source.name: stage for stage in STAGES}
            return sum([await self._accept(topics, stages[loss.topic], loss) for loss in losses])
        finally:
            await topics.stop()

    async def _accept(self, topics: KafkaTopics, stage: StageTopics, loss: Loss) -> int:
        await topics.write(DEAD_LETTERS.name, await self._letters_partition(topics, loss), [_letter(loss)])
        if loss.kind == "deleted":
            await self._go_on(topics, stage, loss, loss.last)
            return 0
        saved = self._saved[loss.topic, loss.partition]
        if saved.version.offset == loss.mark_offset:
            life = replace(saved.mark.life, source=plan_of(loss, self._now[loss.topic]))
            version = Version(saved.version.generation, loss.mark_offset + 1)
            await write_mark(topics, stage.state, loss.partition, version, replace(saved.mark, life=life))
        target = max(loss.mark_offset + 3, loss.copy_from)
        end = await fill(topics, self._bootstrap, stage.source, loss.partition, target)
        # What lies above the mark already is copied too, so that everything is read in the order of its arrival.
        copied = await copy_up(
            topics, self._bootstrap, stage.source, loss.partition, loss.copy_from, end, loss.since_ms
        )
        last = end - 1
        await self._go_on(topics, stage, loss, last)
        return copied

    async def _letters_partition(self, topics: KafkaTopics, loss: Loss) -> int:
        """Return a partition that follows from the loss alone, so that a repeat is in the same one."""
        return loss.partition % await topics.partitions(DEAD_LETTERS.name)

    async def _go_on(self, topics: KafkaTopics, stage: StageTopics, loss: Loss, last: int) -> None:
        """Write the mark from which workers go on after offset `last`, then the group's offset."""
        saved = self._saved[loss.topic, loss.partition]
        life = replace(saved.mark.life, source=self._now[loss.topic])
        # The epoch at `last` may be another, and a wrong one would show a loss: the next checkpoint knows it.
        mark = replace(saved.mark, life=life, fold=stage.count_lost(saved.mark.fold), epoch=UNKNOWN)
        await write_mark(topics, stage.state, loss.partition, Version(saved.version.generation, last), mark)
        await commit(self._bootstrap, METER_GROUP, {(loss.topic, loss.partition): last + 1})


def _time_of(record: ConsumerRecord | None) -> int:
    return UNKNOWN_MS if record is None else int(record.timestamp)


def _letter(loss: Loss) -> Record:
    letter = DeadLetter(
        LOST, f"{loss.sentence}; {loss.times.sentence}", loss.topic, loss.partition, loss.letter_offset, None, None
    )
    return Record(None, b"", letter.headers())
