"""A Faust transport that delivers fetched batches: one Faust message for each partition and fetch.

Faust's own consumer passes every record through several asyncio waits and two threads. Here the value of a message is a
`Batch`, and the message's offset is that of the batch's last one. So that cost is paid once for each batch, while
Faust still runs the agents and assigns the partitions. `broker="batch://host:9092"` selects this transport; its scheme
is registered in pyproject.toml.

The transport also corrects two defects that would lose records (docs/adr/0004). An empty set of active partitions
fetches nothing instead of everything. And every batch says at which offset its fetch began, so its reader can see that
records before it are missing, and seek back.
"""

import asyncio
import weakref
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher as client
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import ConsumerStoppedError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from msgspec import Struct

from meter.kafka.epochs import UNKNOWN
from meter.kafka.fetched import Batch, Fetched, KeptRecords, epoch_of, last_timestamp_ms, records_from
from meter.kafka.noted_answers import note_answers
from meter.kafka.offsets import ConsumerOffsets
from schemas.delivery import READ_COMMITTED

client.MemoryRecords = KeptRecords
"""Replaces the client's reader of a fetch by one that also keeps the bytes."""

FETCH_WAIT_MS: Final = 100
"""How long a broker may wait for records before it answers an empty fetch."""

BUSY_WAIT_MS: Final = 10
"""The same while fetched records wait to be read.

Only one fetch is in flight for each broker. While it waits for new records of some partitions, it delays the others.
"""

FETCH_BYTES: Final = 4 * 1024 * 1024
"""The most bytes that one fetch brings of a partition, unless a single batch is larger."""

TIMEOUT_S: Final = 1.0
"""How long a fetch waits for records if Faust gives no time limit."""

FULL_S: Final = 0.005
"""How long a fetch waits while some partitions have a batch waiting, and the pause while all of them have one."""


class FetchRead(Struct, frozen=True):
    """The records that a fetch of one partition brought, up to `last_offset`; maybe none, if none was committed."""

    records: Sequence[Fetched]
    last_offset: int
    epoch: int = UNKNOWN


class _Fetched(Struct, frozen=True):
    """A fetch of one partition as it leaves the consumer's thread. `base` is the offset at which it began."""

    base: int
    read: FetchRead


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread, with settings for batches. It fetches nothing if no partition is active.

    It reads what is committed, and up to the first transaction that is still open.
    """

    def _create_worker_consumer(self, transport: "Transport") -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # Faust passes 1500 ms to the constructor. The consumer reads these attributes only when it starts.
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        consumer._max_partition_fetch_bytes = FETCH_BYTES
        consumer._isolation_level = READ_COMMITTED
        note_answers(consumer._client)
        return consumer

    async def on_thread_stop(self) -> None:
        """Stop the client, and suppress the cancellation of a fetch that fails at that moment.

        All fetches fail while the broker is away. The client would pass the cancellation on and end the thread without
        a notice, so the worker would wait for the thread for ever.
        """
        with suppress(asyncio.CancelledError):
            await super().on_thread_stop()

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,  # noqa: ARG002 - a fetch is not split
    ) -> Mapping[TP, _Fetched]:
        # The main thread changes the set while this thread waits, and aiokafka reads an empty one as "all partitions".
        active = frozenset(active_partitions)
        if not self.consumer.flow_active or not active:
            return {}
        fetcher = consumer._fetcher
        if consumer._closed or fetcher._closed:
            raise ConsumerStoppedError()
        with fetcher._subscriptions.fetch_context():
            fetched = await self._fetch_now(fetcher, active)
            # A partition that is not active has a batch waiting and becomes active soon, so look again soon.
            wait_s = (timeout or TIMEOUT_S) if active >= consumer.assignment() else FULL_S
            if not fetched and await self._fetch_arrives(fetcher, wait_s) and self.consumer.flow_active:
                fetched = await self._fetch_now(fetcher, active)
            return fetched

    async def _fetch_now(self, fetcher: Any, active: frozenset[TP]) -> Mapping[TP, _Fetched]:
        # Without a reassignment nothing below waits, so the fetch begins at exactly these positions.
        if fetcher._subscriptions.reassignment_in_progress:
            await fetcher._subscriptions.wait_for_assignment()
        fetcher._fetch_max_wait_ms = BUSY_WAIT_MS if fetcher._records else FETCH_WAIT_MS
        bases = self._positions(fetcher, active)
        for result in fetcher._records.values():
            if isinstance(result, FetchResult):
                result.getall = partial(records_of_fetch, weakref.proxy(result))
        fetched = await fetcher.fetched_records(active, timeout=0)
        return {tp: _Fetched(bases[tp], read) for tp, read in fetched.items()}

    @staticmethod
    def _positions(fetcher: Any, active: frozenset[TP]) -> dict[TP, int]:
        """Return the next offset of each active partition that has a valid position, all as of one moment: no await."""
        subscription = fetcher._subscriptions.subscription
        if subscription is None or subscription.assignment is None:
            return {}
        assignment = subscription.assignment
        states = {tp: assignment.state_value(tp) for tp in active if tp in assignment.tps}
        return {tp: state._position for tp, state in states.items() if state is not None and state.has_valid_position}

    @staticmethod
    async def _fetch_arrives(fetcher: Any, timeout_s: float) -> bool:
        waiter = fetcher._create_fetch_waiter()
        done, _ = await asyncio.wait([waiter], timeout=timeout_s)
        if not done:
            waiter.cancel()
            return False
        waiter.result()  # Raises the error of the fetch, such as a missing authorization.
        return True


def records_of_fetch(result: Any, _: None) -> FetchRead | None:
    """Replace `FetchResult.getall`, which makes a second object for each record and takes twice the time.

    A fetch without a committed record is handed over too: its reader learns that it goes on behind what was left out.
    References of the result to itself are removed. With them its bytes would stay in memory until the garbage collector
    runs, which is rare (meter/worker.py).
    """
    parts = result._partition_records
    if parts is not None:
        parts._records_iterator = None
    if not result.check_assignment(result._topic_partition) or not result.has_more():
        return None
    start = parts.next_fetch_offset
    data = parts._records.data
    found, parts.next_fetch_offset = records_from(data, start, parts._aborted_transactions)
    result._update_position()
    result._partition_records = None
    if parts.next_fetch_offset == start:
        return None
    return FetchRead(found, parts.next_fetch_offset - 1, epoch_of(data, found))


class Consumer(ConsumerOffsets, driver.Consumer):
    """Yields one message for each batch. Its readers move the offsets, by the methods of `ConsumerOffsets`."""

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _wait_next_records(self, timeout: float) -> tuple[Any, Any]:  # noqa: ASYNC109 - Faust's signature
        """Like Faust's, but pause only for FULL_S if no partition is active. Faust would sleep for a second."""
        if self.flow_active and not self._get_active_partitions():
            await self.sleep(FULL_S)
            return {}, set()
        found: tuple[Any, Any] = await super()._wait_next_records(timeout)
        return found

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109
        """Yield a partition and a message for each fetched batch; the message's value is a `Batch`."""
        fetched, _ = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if not fetched or self.should_stop:
            return
        for tp, part in fetched.items():
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return  # The rest is dropped. The partition's reader sees a hole before the next batch and seeks back.
            yield tp, self._batch_message(TP(tp.topic, tp.partition), part)

    def _batch_message(self, tp: TP, part: _Fetched) -> ConsumerMessage:
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            part.read.last_offset,
            last_timestamp_ms(part.read.records) / 1000.0,
            0,
            (),
            None,
            Batch(tp, part.base, part.read.records, part.read.last_offset, part.read.epoch),
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )


class Transport(driver.Transport):
    """Faust's Kafka transport with the consumer above."""

    Consumer: ClassVar[type[Consumer]] = Consumer
