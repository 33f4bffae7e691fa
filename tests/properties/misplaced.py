"""Records put into any partition of a pipeline's topics, as clients with other keys and partitioners do."""

import json
from collections.abc import Iterable
from typing import NamedTuple

from meter.core.policy import Policy
from meter.kafka.records import Record
from meter.sessionizer.engine import MakeEngine
from schemas.events import encode_tick
from schemas.topics import CHAT_EVENTS, WALLET_INPUTS, Topic
from tests.feeds.lines import DAY_MS, is_command
from tests.properties.pipeline import PLAIN, Pipeline, Turn


class Put(NamedTuple):
    """A line, and where a client writes it. No partition is the right one: Kafka's default for the workspace's id."""

    line: bytes
    partition: int | None = None
    key: bytes | None = b"foreign"
    topic: Topic | None = None
    headers: list[tuple[str, bytes]] | None = None


def put(pipeline: Pipeline, given: Iterable[Put]) -> None:
    """Append the lines to their partitions, in this order."""
    for each in given:
        topic = each.topic or (WALLET_INPUTS if is_command(each.line) else CHAT_EVENTS)
        partition = each.partition
        if partition is None:
            partition = pipeline.log.place(json.loads(each.line)["data"]["workspace_id"].encode())
        pipeline.log.add(topic.name, partition % pipeline.log.number, Record(each.key, each.line, each.headers))


def run(
    given: Iterable[Put],
    end_ms: int,
    turns: Iterable[Turn] = PLAIN,
    *,
    partitions: int = 4,
    make_engine: MakeEngine | None = None,
    policy: Policy | None = None,
) -> Pipeline:
    """Put the lines, take the turns, drain all, end the feed at `end_ms`, drain the rest."""
    pipeline = Pipeline([], end_ms + DAY_MS, policy or Policy(), partitions, make_engine)
    put(pipeline, given)
    pipeline.run(turns)
    for partition in range(partitions):
        pipeline.log.add(CHAT_EVENTS.name, partition, Record(None, encode_tick(end_ms, final=True)))
    pipeline.drain()
    return pipeline
