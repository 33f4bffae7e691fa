"""Bytewax: a keyed, stateful step between its own Kafka source and sink, with recovery.

One worker in this process; state in memory, snapshots of what changed in SQLite every 5 s, which also hold the
offsets. Its session windows would keep a day of late messages waiting, so the conversation is folded by hand. JSON by
orjson.
"""

import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.inputs import StatefulSourcePartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import run_main

from tests.bench.contenders.conversation import Conversation, Counted, folded, interaction_of
from tests.bench.measured import Clock
from tests.bench.task import Task, given


class BoundedPartition(StatefulSourcePartition[Any, int | None]):
    """A partition of its Kafka source that ends when the time is up."""

    def __init__(self, partition: Any, clock: Clock) -> None:
        self._partition = partition
        self._clock = clock

    def next_batch(self) -> Iterable[Any]:
        """What has come. Raises StopIteration at the end."""
        if self._clock.is_over:
            raise StopIteration
        batch: list[Any] = self._partition.next_batch()
        if batch:
            self._clock.first()
        return batch

    def snapshot(self) -> int | None:
        """The next offset."""
        offset: int | None = self._partition.snapshot()
        return offset

    def close(self) -> None:
        """Disconnect."""
        self._partition.close()


class BoundedSource(KafkaSource):
    """Its Kafka source, up to the topic's end or that of the time."""

    def __init__(self, task: Task, clock: Clock) -> None:
        super().__init__([task.bootstrap], [task.topic], tail=False)
        self._clock = clock

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> Any:
        """A partition of it, bounded."""
        return BoundedPartition(super().build_part(step_id, for_part, resume_state), self._clock)


def run(task: Task) -> None:
    """Run the flow to the end of the topic, or of the time."""
    clock, counted = Clock(task.limit_s), Counted()

    def keyed(message: Any) -> tuple[str, dict[str, Any]]:
        event = orjson.loads(message.value)
        return interaction_of(event), event

    def fold(conversation: Conversation | None, event: dict[str, Any]) -> tuple[Conversation, Conversation]:
        conversation = folded(conversation, event)
        counted.add(conversation)
        return conversation, conversation

    def update(keyed_conversation: tuple[str, Conversation]) -> Any:
        key, conversation = keyed_conversation
        return KafkaSinkMessage(key.encode(), orjson.dumps(conversation))

    flow = Dataflow("conversations")
    arrived = op.map("keyed", op.input("events", flow, BoundedSource(task, clock)), keyed)
    folds = op.stateful_map("fold", arrived, fold)
    op.output("updates", op.map("update", folds, update), KafkaSink([task.bootstrap], task.updates_topic))
    init_db_dir(Path(task.directory), 1)
    run_main(flow, epoch_interval=timedelta(seconds=task.commit_s), recovery_config=RecoveryConfig(task.directory))
    clock.safe()
    clock.report(
        events=counted.messages,
        messages=counted.messages,
        conversations=counted.conversations,
        announced=counted.messages,
    )


if __name__ == "__main__":
    run(given(sys.argv[1]))
