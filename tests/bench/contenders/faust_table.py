"""Faust as its documentation teaches it: an agent over events, a Table for the state, a topic for the updates.

In memory with a changelog topic, which is Faust's default; at least once; commits every 5 s; JSON by Faust's own codec,
which is orjson. The table is keyed by interaction without a repartition topic, because all of an interaction is
in one partition already. Faust's windows are no sessions, so the conversation is folded by hand.
"""

import asyncio
import os
import sys
from typing import Any

import faust
from faust.types import StreamT

from tests.bench.contenders.conversation import Counted, folded, interaction_of
from tests.bench.measured import Clock
from tests.bench.task import PARTITIONS, Task, given


def run(task: Task) -> None:
    """Run a worker until the topic is taken or the time is up; ends the process."""
    clock, counted, done = Clock(task.limit_s), Counted(), asyncio.Event()
    app = faust.App(
        task.name,
        broker=f"kafka://{task.bootstrap}",
        store="memory://",
        datadir=task.directory,
        broker_commit_interval=task.commit_s,
        consumer_auto_offset_reset="earliest",
        topic_partitions=PARTITIONS,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    events = app.topic(task.topic, value_serializer="json", key_type=bytes)
    updates = app.topic(task.updates_topic, value_serializer="json", key_type=str)
    conversations = app.Table("conversations", partitions=PARTITIONS)

    @app.agent(events)
    async def fold(stream: StreamT[dict[str, Any]]) -> None:
        async for event in stream:
            clock.first()
            key = interaction_of(event)
            conversation = conversations[key] = folded(conversations.get(key), event)
            await updates.send(key=key, value=conversation)
            counted.add(conversation)
            if counted.messages == task.events or clock.is_over:
                done.set()
                await asyncio.Event().wait()  # What comes after the end is not taken.

    @app.task
    async def end() -> None:
        await done.wait()
        await app.producer.flush()
        await app.consumer.commit()
        clock.safe()
        clock.report(
            events=counted.messages,
            messages=counted.messages,
            conversations=counted.conversations,
            announced=counted.messages,
        )
        os._exit(0)  # A worker that is asked to stop waits until its streams are empty.

    worker = faust.Worker(app, loglevel="ERROR", quiet=True)
    worker.spinner = None
    worker.execute_from_commandline()


if __name__ == "__main__":
    run(given(sys.argv[1]))
