"""Kills in the act: a thread that sees records come to a topic, and strikes whoever may be writing there."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from tests.chaos.logs import PARTITIONS

PATIENCE_S: Final = 1.0
"""How long to wait for a record at most; then the strike comes without one."""


def strike_at_next_record(bootstrap: str, topic: str, delay_s: float, strike: Callable[[], None]) -> None:
    """Call `strike` from a thread, `delay_s` after the next record on `topic`, or when patience ends. Does not wait."""

    def watch() -> None:
        try:
            asyncio.run(_next_record(bootstrap, topic))
            time.sleep(delay_s)
        finally:
            strike()

    threading.Thread(target=watch, name=f"watch {topic}", daemon=True).start()


async def _next_record(bootstrap: str, topic: str) -> None:
    """Return when one has come, when patience ends, or when there is no broker to ask."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=200)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await consumer.start()
            places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
            consumer.assign(places)
            await consumer.seek_to_end(*places)
            await consumer.getone()
    except (TimeoutError, KafkaError):
        pass
    finally:
        with suppress(asyncio.CancelledError):  # It lets out that of a fetch that failed just then.
            await consumer.stop()
