"""A Faust transport that hands over fetched batches: one Faust message per partition and fetch.

Faust's own consumer takes every record through several asyncio waits and two threads. Here the value of a message is a
`Batch`, its offset that of the batch's last record, so agents, rebalancing and commits stay Faust's while the cost is
paid once a batch. Registered under the scheme `batch` (pyproject.toml): `broker="batch://host:9092"` chooses it.

It also mends, on this side of Faust's seams, what would lose records (docs/adr/0004): an empty set of active
partitions fetches nothing instead of everything, and every batch says which offset its fetch began at, so that its
reader can see a hole and go back.
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

from meter.kafka.fetched import Batch, Fetched, KeptRecords, last_offset, last_timestamp_ms, records_from
from meter.kafka.offsets import ConsumerOffsets

client.MemoryRecords = KeptRecords
"""What the client reads a fetch with: the same, and it keeps the bytes."""

FETCH_WAIT_MS: Final = 100
"""How long a broker may hold an empty fetch."""

BUSY_WAIT_MS: Final = 10
"""The same while anything arrives: one fetch a node is in flight, so those that have been read to their end, waiting
for more, would keep the others waiting."""

FETCH_BYTES: Final = 4 * 1024 * 1024
TIMEOUT_S: Final = 1.0
FULL_S: Final = 0.005
"""How long nothing is fetched where all that may be held is. The stages go on meanwhile."""


class _Fetched(Struct, frozen=True):
    """What crosses from the consumer's thread: the base offset beside the records."""

    base: int
    records: Sequence[Fetched]


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread, with settings for batches and a safe fetch."""

    def _create_worker_consumer(self, transport: "Transport") -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # Faust writes 1500 ms into the constructor call; these are read when the consumer starts.
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        consumer._max_partition_fetch_bytes = FETCH_BYTES
        return consumer

    async def on_thread_stop(self) -> None:
        """Stop the client. It lets out the cancellation of a fetch that was failing just then, as all do while a broker
        is away; the thread would end without a word, and the worker would wait for it for ever.
        """
        with suppress(asyncio.CancelledError):
            await super().on_thread_stop()

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,  # noqa: ARG002 - what one fetch brought stays together
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
            # While those wait of which nothing more may be held, nobody may wait long for the others.
            patience_s = (timeout or TIMEOUT_S) if active >= consumer.assignment() else FULL_S
            if not fetched and await self._fetch_arrives(fetcher, patience_s) and self.consumer.flow_active:
                fetched = await self._fetch_now(fetcher, active)
            return fetched

    async def _fetch_now(self, fetcher: Any, active: frozenset[TP]) -> Mapping[TP, _Fetched]:
        # Once no reassignment is under way nothing below waits, so the positions are those the fetch begins at.
        if fetcher._subscriptions.reassignment_in_progress:
            await fetcher._subscriptions.wait_for_assignment()
        fetcher._fetch_max_wait_ms = BUSY_WAIT_MS if fetcher._records else FETCH_WAIT_MS
        bases = self._positions(fetcher, active)
        for result in fetcher._records.values():
            if isinstance(result, FetchResult):
                result.getall = partial(_records_of, weakref.proxy(result))
        fetched = await fetcher.fetched_records(active, timeout=0)
        return {tp: _Fetched(bases[tp], records) for tp, records in fetched.items()}

    @staticmethod
    def _positions(fetcher: Any, active: frozenset[TP]) -> dict[TP, int]:
        """The next offset of every active partition that has a valid position. No await: a consistent look."""
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
        waiter.result()  # Raises what the fetch met, such as a missing authorization.
        return True


def _records_of(result: Any, _: None) -> Sequence[Fetched]:
    """`FetchResult.getall`, but for what the client does to each single record: a second object, twice the time.

    Faust does not read transactions, so an aborted one's records are like any other's; its marks are no records.
    Whatever refers to itself is cut: it would keep its bytes until the collector comes, which is
    rarely (meter/worker.py).
    """
    parts = result._partition_records
    if parts is not None:
        parts._records_iterator = None
    if not result.check_assignment(result._topic_partition) or not result.has_more():
        return []
    found, parts.next_fetch_offset = records_from(parts._records.data, parts.next_fetch_offset)
    result._update_position()
    result._partition_records = None
    return found


class Consumer(ConsumerOffsets, driver.Consumer):
    """Yields a message per batch. Its readers move the offsets, by the methods of `ConsumerOffsets`."""

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _wait_next_records(self, timeout: float) -> tuple[Any, Any]:  # noqa: ASYNC109 - Faust's signature
        """As Faust's, but where batches of every partition wait to be taken: Faust would sleep for a second then."""
        if self.flow_active and not self._get_active_partitions():
            await self.sleep(FULL_S)
            return {}, set()
        found: tuple[Any, Any] = await super()._wait_next_records(timeout)
        return found

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109
        """One (partition, message) per batch; the message's value is a `Batch`."""
        fetched, _ = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if not fetched or self.should_stop:
            return
        for tp, part in fetched.items():
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return  # Dropped; whoever reads next sees the hole by its base and goes back.
            yield tp, self._batch_message(TP(tp.topic, tp.partition), part)

    def _batch_message(self, tp: TP, part: _Fetched) -> ConsumerMessage:
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last_offset(part.records),
            last_timestamp_ms(part.records) / 1000.0,
            0,
            (),
            None,
            Batch(tp, part.base, part.records),
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )


class Transport(driver.Transport):
    """Faust's Kafka transport with the consumer above."""

    Consumer: ClassVar[type[Consumer]] = Consumer
