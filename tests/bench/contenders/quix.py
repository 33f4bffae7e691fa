"""Quix Streams: a stateful function over a StreamingDataFrame, and a topic for the updates.

State in RocksDB with a changelog topic, at least once, a commit every 5 s: its defaults. Its state is kept by the
record's key, the workspace, and in it by interaction, so no repartition topic is needed. JSON by its own serializers.
"""

import sys
from typing import Any

from quixstreams import Application

from tests.bench.contenders.conversation import Conversation, Counted, folded, interaction_of
from tests.bench.measured import Clock
from tests.bench.task import Task, given


def run(task: Task) -> None:
    """Run the application until the topic is taken or the time is up."""
    clock, counted = Clock(task.limit_s), Counted()
    app = Application(
        broker_address=task.bootstrap,
        consumer_group=task.name,
        auto_offset_reset="earliest",
        commit_interval=task.commit_s,
        processing_guarantee="at-least-once",
        state_dir=task.directory,
        loglevel="ERROR",
    )
    events = app.topic(task.topic, value_deserializer="json", key_deserializer="bytes")
    updates = app.topic(task.updates_topic, value_serializer="json", key_serializer="str")

    def fold(event: dict[str, Any], state: Any) -> dict[str, Any]:
        clock.first()
        key = interaction_of(event)
        conversation: Conversation = folded(state.get(key), event)
        state.set(key, conversation)
        counted.add(conversation)
        if counted.messages == task.events or clock.is_over:
            app.stop()
        return {"key": key} | conversation

    frame = app.dataframe(events).apply(fold, stateful=True)
    frame.to_topic(updates, key=lambda update: update["key"])
    app.run()  # Commits as it ends: state, changelog, updates, offsets.
    clock.safe()
    clock.report(
        events=counted.messages,
        messages=counted.messages,
        conversations=counted.conversations,
        announced=counted.messages,
    )


if __name__ == "__main__":
    run(given(sys.argv[1]))
