"""The work of `meter produce`, and of a run on this machine: writing feed files to Kafka."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from meter.ingest.feed_files import read_feeds
from meter.ingest.feeder import Feeder
from meter.kafka.policies import policy_in_force
from meter.kafka.topics import KafkaTopics
from meter.settings import Settings


class Produced(NamedTuple):
    """How many lines were written, and how many of them cannot be read and become dead letters."""

    written: int
    refused: int


async def produce(settings: Settings, feeds: list[Path], on_bytes: Callable[[int], None], *, close: bool) -> Produced:
    """Write the files `feeds`, merged by event time, and return how many lines that were.

    `on_bytes` is called with the number of bytes read since its last call. `close` adds final ticks, so that every
    conversation closes. Raises FeedError, or TopicsError if the broker does not accept the producer.
    """
    topics = KafkaTopics(settings.kafka_bootstrap_servers, idempotent=settings.kafka_idempotent)
    await topics.start()
    try:
        policy = await policy_in_force(settings.kafka_bootstrap_servers, settings.policy())
        feeder = Feeder(topics, policy)
        await feeder.feed(read_feeds(feeds, on_bytes))
        if close:
            await feeder.close()
        return Produced(feeder.written, feeder.refused)
    finally:
        await topics.stop()
