"""The command `meter produce`: feeds are written to Kafka as bot runtimes and the console would write them."""

from collections.abc import Callable
from pathlib import Path

from meter.ingest.feed_files import read_feeds
from meter.ingest.feeder import Feeder
from meter.kafka.topics import KafkaTopics
from meter.settings import Settings


async def produce(settings: Settings, feeds: list[Path], on_bytes: Callable[[int], None], *, close: bool) -> int:
    """Write feeds to Kafka as bot runtimes and the console would; returns how many lines."""
    log = KafkaTopics(settings.kafka_bootstrap_servers, idempotent=settings.kafka_idempotent)
    await log.start()
    try:
        feeder = Feeder(log, settings.policy())
        await feeder.feed(read_feeds(feeds, on_bytes))
        if close:
            await feeder.close()
        return feeder.written
    finally:
        await log.stop()
