"""Reading notices for one outlet, with a consumer group of its own, and committing behind what is done."""

import asyncio
import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from meter.notify import metrics
from meter.notify.deliverer import Deliverer
from meter.notify.job import ClosingError, Job
from meter.notify.receipts import Receipts
from meter.notify.window import Window
from meter.settings import Settings
from schemas.deliveries import UNREADABLE, again_of
from schemas.delivery import METADATA_MS, READ_COMMITTED
from schemas.notices import decode_notice
from schemas.topics import NOTICES

LOOK_MS: Final = 250
"""How long a fetch is waited for, and so how often offsets are committed at most."""

FETCH_BYTES: Final = 1024 * 1024
"""How much is fetched of a partition at once. A larger record is fetched alone."""

FETCH_RECORDS: Final = 100

MAX_BYTES: Final = 32 * 1024 * 1024
"""From how many bytes of notices that are not done on the outlet reads no further one."""

END_S: Final = 20.0
"""How long the end waits for attempts under way, before it cuts them off."""

logger = logging.getLogger(__name__)


class NoticeReader:
    """The reader of one outlet. Call `start`, then `run` until it returns, then `stop`."""

    def __init__(self, settings: Settings, deliverer: Deliverer, receipts: Receipts) -> None:
        self._deliverer = deliverer
        self._receipts = receipts
        self._labels = (deliverer.outlet.channel, deliverer.outlet.endpoint)
        self._windows: dict[TopicPartition, Window] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._bug: BaseException | None = None
        self._assignment = 0
        self._is_released = False
        self._is_behind = True
        self.assigned = asyncio.Event()
        """Set at the first assignment of partitions."""
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.kafka_bootstrap_servers,
            group_id=deliverer.outlet.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level=READ_COMMITTED,
            max_partition_fetch_bytes=FETCH_BYTES,
            metadata_max_age_ms=METADATA_MS,
            session_timeout_ms=int(settings.kafka_session_timeout_s * 1000),
            heartbeat_interval_ms=int(settings.kafka_session_timeout_s * 1000 / 5),
        )

    async def start(self) -> None:
        """Connect and join the group. Raises KafkaConnectionError."""
        self._consumer.subscribe([NOTICES.name], listener=_Listener(self))
        await self._consumer.start()

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop` is set. Raises the error of a delivery that is a bug, and NewerFormatError."""
        while not stop.is_set():
            self._make_room()
            fetched = await self._consumer.getmany(timeout_ms=LOOK_MS, max_records=FETCH_RECORDS)
            await self._process(fetched)
            await self._commit()
            self._measure()
            if self._bug is not None:
                raise self._bug

    async def stop(self) -> None:
        """Let attempts under way end, commit, and leave the group."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.release(), END_S)
        for task in self._tasks:
            task.cancel()
        with suppress(TimeoutError, KafkaError):
            await asyncio.wait_for(self._consumer.stop(), END_S)
        await self._deliverer.outlet.close()

    def begin(self) -> None:
        """Begin with the partitions that were assigned. Called between `release` and the first of their records."""
        self._deliverer.reopen()
        self._is_released = False
        self._is_behind = True
        self.assigned.set()

    async def release(self) -> None:
        """End all deliveries and commit, before the partitions go to another process."""
        self._assignment += 1
        self._is_released = True
        self._deliverer.close_soon()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._commit()
        self._windows.clear()

    async def _process(self, fetched: dict[TopicPartition, list[ConsumerRecord]]) -> None:
        assignment = self._assignment
        if self._is_released:
            return  # Fetched before the partitions went away, and read again by their owner.
        if fetched and self._is_behind:
            await self._receipts.catch_up()
            self._is_behind = False
        if assignment != self._assignment:
            return  # The partitions were assigned again, and are read from what was committed.
        for partition, records in fetched.items():
            window = self._windows.setdefault(partition, Window(records[0].offset))
            for record in records:
                self._begin(window, record)

    def _begin(self, window: Window, record: ConsumerRecord) -> None:
        job, reason = job_of(record)
        deliveries = max(1, len(self._deliverer.recipients(job))) if job else 1
        if not window.add(record.offset, record.timestamp, deliveries, len(record.value or b"")):
            return
        work = self._deliverer.deliver(job) if job else self._deliverer.refuse(record.partition, record.offset, reason)
        task = asyncio.create_task(self._finish(window, record.offset, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, window: Window, offset: int, work: Any) -> None:
        try:
            await work
        except ClosingError:
            return
        except Exception as bug:
            self._bug = self._bug or bug
            return
        window.done(offset)

    def _make_room(self) -> None:
        """Read only partitions whose window has room. The others stay assigned."""
        is_full = sum(each.size_bytes for each in self._windows.values()) >= MAX_BYTES
        full = {partition for partition, window in self._windows.items() if is_full or not window.has_room}
        paused = self._consumer.paused()
        self._consumer.pause(*(full - paused))
        self._consumer.resume(*(paused - full))

    async def _commit(self) -> None:
        """Commit what is done. A failure is no error: the receipts say what is done, and the next commit repeats it."""
        offsets = {
            partition: window.next_offset
            for partition, window in self._windows.items()
            if window.next_offset > window.committed
        }
        if not offsets:
            return
        try:
            await self._consumer.commit(offsets)
        except KafkaError as error:
            logger.warning("the offsets of %s could not be committed: %s", self._deliverer.outlet.group, error)
            return
        for partition, offset in offsets.items():
            if partition in self._windows:
                self._windows[partition].committed = offset

    def _measure(self) -> None:
        unread = 0
        for partition, window in self._windows.items():
            end = self._consumer.highwater(partition)
            unread += max(0, (end or 0) - window.next_offset)
        oldest = [each.oldest_ms for each in self._windows.values() if each.oldest_ms is not None]
        metrics.WAITING.labels(*self._labels).set(unread)
        metrics.OLDEST.labels(*self._labels).set(max(0.0, time.time() - min(oldest) / 1000) if oldest else 0)


class _Listener(ConsumerRebalanceListener):
    """Passes assignments of partitions on. The client waits for each call before it goes on."""

    def __init__(self, reader: NoticeReader) -> None:
        self._reader = reader

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:  # noqa: ARG002
        """Release all partitions: the group gives all of them out again."""
        await self._reader.release()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:  # noqa: ARG002
        """Begin with the new partitions."""
        self._reader.begin()


def job_of(record: ConsumerRecord) -> tuple[Job | None, str]:
    """Return the job of a record on notices, or None and the reason why it is no notice."""
    try:
        notice, again = decode_notice(record.value or b""), again_of(record.headers)
    except UNREADABLE as error:
        return None, f"the record is no notice: {error}"
    return Job(notice, record.partition, record.offset, max(0, record.timestamp), again), ""
