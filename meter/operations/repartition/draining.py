"""Reading what is left with the former number of partitions, by the stages themselves, before state moves.

Metered updates, slices and policies belong to the partition in which they lie, so none may be left unread. And wallets
know an event outside conversations by its offset, so the sessionizer must have saved all that it has written. Where an
operator has added partitions already, no worker starts any more. So the command itself reads, as one worker would.
"""

import asyncio
from functools import partial
from typing import Final

from faust.types import TP

from meter.charger.charger import Charger
from meter.charger.state import decode_mark as decode_wallets
from meter.commands.mover import CommandMover
from meter.core.policy import Policy, PolicyInForce
from meter.kafka.alone import Alone, alone
from meter.kafka.fetched import Batch
from meter.kafka.policies import announce, begun_policies
from meter.kafka.topics import KafkaTopics
from meter.operations.cluster import Ends, OperationError, Saved, ends_of
from meter.operations.repartition.copying import Progress
from meter.operations.stages import COMMANDS, SESSIONS, WALLETS, StageTopics
from meter.sessionizer.choose_engine import engine_of
from meter.sessionizer.sessionizer import Sessionizer
from meter.sessionizer.sessionizer import decode_mark as decode_sessions
from meter.settings import Settings
from meter.stage.fold import MakeFold
from meter.stage.lives import check_offsets
from meter.stage.refusals import RefusalError
from meter.stage.stage import Stage
from schemas.formats import NewerFormatError
from schemas.topic_identity import TopicIdentity
from schemas.topics import METER_GROUP

CHECKPOINT_MS: Final = 200
_SESSION_MS: Final = 60_000
_ROUNDS: Final = 100
"""How often wallet-inputs is looked at again: it also gets what was moved within it, and the slices of a rebilling."""

Marks = dict[str, dict[int, Saved]]
"""The newest mark of each partition of each state topic, by the topic's name."""


class FormerTopics(KafkaTopics):
    """The topics with the number of partitions that they had."""

    def __init__(self, settings: Settings, before: int) -> None:
        super().__init__(settings.kafka_bootstrap_servers, idempotent=settings.kafka_idempotent)
        self._before = before

    async def partitions(self, topic: str) -> int:  # noqa: ARG002 - all have the same number
        """Return the former number."""
        return self._before

    async def identity(self, topic: str) -> TopicIdentity:
        """Return the identity of a topic, with the former number of partitions."""
        now = await super().identity(topic)
        return TopicIdentity(now.cluster_id, now.topic_id, self._before)


class Draining:
    """Reads what the former partitions hold, up to their ends. `marks` are those that there are."""

    def __init__(self, settings: Settings, before: int, marks: Marks, progress: Progress) -> None:
        self._settings = settings
        self._bootstrap = settings.kafka_bootstrap_servers
        self._before = before
        self._marks = marks
        self._progress = progress
        self._topics = FormerTopics(settings, before)
        self._folds: dict[str, MakeFold] = {}
        self._read_up_to: dict[TP, int] = {}
        """The next offset of each partition that this command has read."""

    async def drain(self) -> PolicyInForce:
        """Read everything, and return the newest policy. Raises OperationError where something has to stay unread."""
        await self._topics.start()
        try:
            versions = await begun_policies(self._topics, self._bootstrap, self._settings.policy())
            self._folds = self._make_folds(versions[0].in_force.policy)
            newest = versions[-1].in_force
            if lowest_policy(self._marks, self._before) < newest.version:
                await announce(self._topics, newest)
            for stage in (COMMANDS, SESSIONS):
                await self._read(stage)
            for _ in range(_ROUNDS):
                if not await self._read(WALLETS):
                    return newest
            raise OperationError("wallet-inputs gets more and more records: stop what writes to it, and try again")
        except (RefusalError, NewerFormatError) as refusal:
            raise OperationError(str(refusal)) from refusal
        finally:
            await self._topics.stop()

    def _make_folds(self, policy: Policy) -> dict[str, MakeFold]:
        engine = engine_of(self._settings)

        def sessionizer(partition: int, partitions: int) -> Sessionizer:
            return Sessionizer(policy, partition, engine, partitions)

        return {
            SESSIONS.state.name: sessionizer,
            WALLETS.state.name: partial(Charger, policy),
            COMMANDS.state.name: CommandMover,
        }

    async def _read(self, stage: StageTopics) -> bool:
        """Read the former partitions of a stage's source. Returns whether there was anything to read."""
        self._progress.phase(f"reading the rest of {stage.source.name}", None)
        ends = await ends_of(self._bootstrap, stage.source, self._before)
        has_read = False
        for number in range(self._before):
            start = self._start_of(stage, number, ends[number])
            if start < ends[number].end:
                has_read = True
                await self._read_partition(stage, number, start, ends[number].end)
        return has_read

    def _start_of(self, stage: StageTopics, number: int, ends: Ends) -> int:
        tp = TP(stage.source.name, number)
        if tp in self._read_up_to:
            return self._read_up_to[tp]
        saved = self._marks[stage.state.name].get(number)
        if saved is None:
            return ends.beginning
        check_offsets(tp, saved.version.offset + 1, ends.beginning, ends.end)
        return saved.version.offset + 1

    async def _read_partition(self, stage: StageTopics, number: int, start: int, end: int) -> None:
        """Read a partition to `end` at least. wallet-inputs is read on: a slice of a rebilling writes the next one."""
        tp = TP(stage.source.name, number)
        next_offset = start
        async with alone(self._bootstrap, METER_GROUP, tp) as group:
            runner = self._runner(stage, group)
            await runner.process(Batch(tp, 0, [], -1), group.generation)  # Restores it, and so checks that it fits.
            async for batch in group.batches(start):
                await runner.process(batch, group.generation)
                next_offset = batch.last_offset + 1
                if next_offset >= end and stage is not WALLETS:
                    break
            while group.committed_offset < next_offset:
                await asyncio.sleep(CHECKPOINT_MS / 1000)
                await runner.run_periodic()
        self._read_up_to[tp] = next_offset
        if next_offset < end:
            raise OperationError(
                f"{stage.source.name}/{number} cannot be read beyond offset {next_offset - 1}: a transaction is open "
                "there; run the command again when it has ended"
            )

    def _runner(self, stage: StageTopics, group: Alone) -> Stage:
        return Stage(
            self._topics,
            group,
            stage.source,
            stage.state,
            self._folds[stage.state.name],
            checkpoint_ms=CHECKPOINT_MS,
            session_ms=_SESSION_MS,
        )


def lowest_policy(marks: Marks, before: int) -> int:
    """Return the lowest version of the policy that any former partition has in force; 0 if one has read nothing."""
    found = []
    for number in range(before):
        sessions, wallets = marks[SESSIONS.state.name].get(number), marks[WALLETS.state.name].get(number)
        found.append(decode_sessions(sessions.mark.fold).in_force if sessions else None)
        found.append(decode_wallets(wallets.mark.fold).in_force if wallets else None)
    return min(in_force.version if in_force else 0 for in_force in found)
