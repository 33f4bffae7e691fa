"""Reading one partition in batches without joining the group, and committing to the group for it.

For commands that do a worker's part while no worker runs.
"""

import asyncio
import time
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import fetcher as client
from aiokafka.consumer.fetcher import FetchResult
from faust.types import TP

from meter.kafka.fetched import Batch, KeptRecords
from meter.kafka.transport import FETCH_BYTES, FETCH_WAIT_MS, FetchRead, records_of_fetch
from schemas.delivery import READ_COMMITTED

client.MemoryRecords = KeptRecords

WAIT_S = 0.1


class Alone:
    """The port `Group` of a stage (`meter/stage/ports.py`) for one partition, in a group without members."""

    generation = 0
    is_moving = False

    def __init__(self, consumer: AIOKafkaConsumer, tp: TP) -> None:
        self._consumer = consumer
        self._tp = TopicPartition(*tp)
        self.tp = tp
        self.committed_offset = -1
        """The offset that was committed last; -1 before."""

    def assigned(self, topic: str) -> list[TP]:
        return [self.tp] if topic == self.tp.topic else []

    def end(self, tp: TP) -> int:  # noqa: ARG002 - there is one partition
        return self._consumer.highwater(self._tp) or 0

    async def beginning(self, tp: TP) -> int:  # noqa: ARG002
        return int((await self._consumer.beginning_offsets([self._tp]))[self._tp])

    async def committed(self, tp: TP) -> int | None:  # noqa: ARG002
        offset = await self._consumer.committed(self._tp)
        return None if offset is None else int(offset)

    async def position(self, tp: TP) -> int | None:  # noqa: ARG002 - nothing is dropped between this and the stage
        return None

    async def seek(self, tp: TP, offset: int) -> None:  # noqa: ARG002
        self._consumer.seek(self._tp, offset)

    async def commit(self, tp: TP, offset: int) -> bool:  # noqa: ARG002
        await self._consumer.commit({self._tp: offset})
        self.committed_offset = offset
        return True

    async def batches(self, start: int) -> AsyncIterator[Batch]:
        """Yield the partition's batches from offset `start` on, up to where it ends now, or to an open transaction."""
        self._consumer.seek(self._tp, start)
        while True:
            asked_at_ms, base = time.time() * 1000, await self._consumer.position(self._tp)
            read = await self._fetch(wait_s=0)
            while read is None and (self._consumer.last_poll_timestamp(self._tp) or 0) <= asked_at_ms:
                read = await self._fetch(wait_s=WAIT_S)
            read = read or await self._fetch(wait_s=0)  # Records that came with the answer.
            if read is None:
                return
            yield Batch(self.tp, base, read.records, read.last_offset)

    async def _fetch(self, wait_s: float) -> FetchRead | None:
        """Return what has been fetched, after `wait_s` at most."""
        fetcher = self._consumer._fetcher
        if wait_s:
            waiter = fetcher._create_fetch_waiter()
            await asyncio.wait([waiter], timeout=wait_s)
            waiter.cancel()
        for result in fetcher._records.values():
            if isinstance(result, FetchResult):
                result.getall = partial(records_of_fetch, weakref.proxy(result))
        fetched: dict[Any, FetchRead] = await fetcher.fetched_records([self._tp], timeout=0)
        return fetched.get(self._tp)


@asynccontextmanager
async def alone(bootstrap: str, group: str, tp: TP) -> AsyncIterator[Alone]:
    """Connect a reader of one partition, which commits to `group`. The group must have no members."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        isolation_level=READ_COMMITTED,
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(*tp)])
        yield Alone(consumer, tp)
    finally:
        await consumer.stop()
