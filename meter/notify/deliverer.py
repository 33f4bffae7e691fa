"""Deliveries of one outlet: receipts around each attempt, back-off between attempts, and what ends a delivery.

A notice is done when every recipient has a final receipt. A process that ends before the final receipt delivers again:
at least once, with the same Message-ID or webhook-id (docs/adr/0037).
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_never, wait_exponential_jitter

from meter.notify import metrics
from meter.notify.job import ClosingError, Job, Underway
from meter.notify.outlets import AwayError, DeliveryError, Outlet, PermanentError, TemporaryError, one_line_reason
from meter.notify.receipts import Receipts
from schemas.deliveries import NO_RECIPIENT, Delivery, Status, delivery_key, is_wanted
from schemas.instants import HOUR_MS, to_ms
from schemas.notices import Notice, NoticeError

AWAY_MAX_S: Final = 60.0
"""The longest pause between two attempts while the mail server is away. Only one delivery tries meanwhile."""

RETRY_MAX_S: Final = 3_600.0
"""The longest pause between two attempts of one delivery that was refused for the time being."""

logger = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]


class Deliverer:
    """Delivers notices by one outlet. `close_soon` makes it end: attempts under way end first, no other one begins.

    `retry_s` bounds how long a TemporaryError is tried again, `max_age_ms` how long after its event a notice counts.
    """

    def __init__(
        self,
        outlet: Outlet,
        receipts: Receipts,
        *,
        retry_s: float,
        max_age_ms: int,
        clock: Callable[[], float] = time.time,
        sleep: Sleep | None = None,
    ) -> None:
        self.outlet = outlet
        self._receipts = receipts
        self._retry_s = retry_s
        self._max_age_ms = max_age_ms
        self._clock = clock
        self._sleep = sleep or self._sleep_until_closing
        self._labels = (outlet.channel, outlet.endpoint)
        self._slots = asyncio.Semaphore(outlet.slots)
        self._probe = asyncio.Lock()
        self._under_way: dict[bytes, asyncio.Event] = {}
        self._closing = asyncio.Event()
        metrics.begin_at_zero(*self._labels)

    def close_soon(self) -> None:
        """Let every delivery that is not done end with ClosingError, as soon as its attempt has ended."""
        self._closing.set()

    def reopen(self) -> None:
        """Deliver again, after `close_soon` and after all deliveries have ended."""
        self._closing.clear()

    def recipients(self, job: Job) -> list[str]:
        """Return the recipients to whom the notice goes by this outlet."""
        wanted = self.outlet.recipients(job.notice)
        return [each for each in wanted if is_wanted(job.again, self.outlet.channel, each)]

    async def deliver(self, job: Job) -> None:
        """Deliver a notice to all its recipients. Returns when all have a final receipt. Raises ClosingError."""
        found = await asyncio.gather(*(self._one(job, each) for each in self.recipients(job)), return_exceptions=True)
        errors = [each for each in found if isinstance(each, BaseException)]
        bugs = [each for each in errors if not isinstance(each, ClosingError)]
        if errors:
            raise (bugs or errors)[0]

    async def refuse(self, partition: int, offset: int, reason: str) -> None:
        """Write down a record that is no notice. Its id is its location."""
        receipt = Delivery(
            notice_id=f"notices/{partition}/{offset}",
            channel=self.outlet.channel,
            recipient=self.outlet.endpoint or NO_RECIPIENT,
            status="failed",
            at=self._now(),
            partition=partition,
            offset=offset,
            reason=one_line_reason(reason),
        )
        if not self._receipts.is_final(receipt.key()):
            await self._receipts.write(receipt)
            metrics.FAILED.labels(*self._labels).inc()

    async def _one(self, job: Job, recipient: str) -> None:
        """Deliver to one recipient, after an earlier copy of the same notice if one is under way."""
        key = delivery_key(job.notice.notice_id, self.outlet.channel, recipient, job.nonce)
        while (earlier := self._under_way.get(key)) is not None:
            await earlier.wait()
        self._under_way[key] = asyncio.Event()
        try:
            await self._once(job, recipient, key)
        finally:
            self._under_way.pop(key).set()

    async def _once(self, job: Job, recipient: str, key: bytes) -> None:
        """Deliver to one recipient, and write the final receipt. Only one copy of a delivery is here at a time."""
        notice = job.notice
        if self._receipts.is_final(key):
            metrics.REPEATED.labels(*self._labels).inc()
            return
        late_ms = job.written_ms - to_ms(notice.occurred_at)
        if self.outlet.judges_age and job.again is None and late_ms > self._max_age_ms:
            await self._write(job, recipient, "stale", f"written {late_ms / HOUR_MS:.1f} h after its event")
            metrics.STALE.labels(*self._labels).inc()
            return
        if self._receipts.is_uncertain(key):
            metrics.UNCERTAIN.labels(*self._labels).inc()
        delivery = Underway(job, recipient)
        try:
            await self._try_for_a_time(delivery)
        except DeliveryError as error:
            await self._write(job, recipient, "failed", str(error), delivery.attempts)
            metrics.FAILED.labels(*self._labels).inc()
        else:
            await self._write(job, recipient, "sent", "", delivery.attempts)
            metrics.SENT.labels(*self._labels).inc()

    async def _try_for_a_time(self, delivery: Underway) -> None:
        """Try until the outlet has taken the delivery, until it refuses for ever, or until the bounded time is over."""

        def is_over(_: RetryCallState) -> bool:
            return self._clock() >= self._deadline_s(delivery)

        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(TemporaryError),
            wait=wait_exponential_jitter(initial=1, max=RETRY_MAX_S, jitter=1),
            stop=is_over,
            sleep=self._sleep,
            reraise=True,
        ):
            with attempt:
                async with self._slots:
                    await self._when_there(delivery)

    def _deadline_s(self, delivery: Underway) -> float:
        if self.outlet.bound == "written":
            return delivery.job.written_ms / 1000 + self._retry_s
        if delivery.first_refused_s is None:
            delivery.first_refused_s = self._clock()
        return delivery.first_refused_s + self._retry_s

    async def _when_there(self, delivery: Underway) -> None:
        """Make one attempt. While the other side is away, one delivery tries again and again, and all others wait.

        They keep their slots, so no other delivery begins.
        """
        with suppress(AwayError):
            await self._attempt(delivery)
            return
        async with self._probe:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(AwayError),
                wait=wait_exponential_jitter(initial=1, max=AWAY_MAX_S, jitter=1),
                stop=stop_never,
                sleep=self._sleep,
                reraise=True,
            ):
                with attempt:
                    await self._attempt(delivery)

    async def _attempt(self, delivery: Underway) -> None:
        """Make one attempt, with a receipt before it, and one after it if it fails for the time being."""
        if self._closing.is_set():
            raise ClosingError
        job, recipient = delivery.job, delivery.recipient
        delivery.attempts += 1
        await self._write(job, recipient, "begun", "", delivery.attempts)
        try:
            await self._send(job.notice, recipient)
        except (AwayError, TemporaryError) as error:
            metrics.RETRIED.labels(*self._labels).inc()
            await self._write(job, recipient, "waiting", str(error), delivery.attempts)
            raise

    async def _send(self, notice: Notice, recipient: str) -> None:
        """Send. An error that is not expected fails this delivery and no other: it would come back with each retry."""
        try:
            await self.outlet.send(notice, recipient)
        except DeliveryError:
            raise
        except NoticeError as error:
            raise PermanentError(str(error)) from error
        except Exception as bug:
            logger.exception("a notice cannot be sent")
            raise PermanentError(f"unexpected error: {type(bug).__name__}") from bug

    async def _write(self, job: Job, recipient: str, status: Status, reason: str, attempts: int = 0) -> None:
        await self._receipts.write(
            Delivery(
                notice_id=job.notice.notice_id,
                channel=self.outlet.channel,
                recipient=recipient,
                status=status,
                at=self._now(),
                partition=job.partition,
                offset=job.offset,
                reason=reason,
                attempts=attempts,
                again=job.nonce,
                template=job.notice.template,
                workspace_id=job.notice.workspace_id,
            )
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    async def _sleep_until_closing(self, seconds: float) -> None:
        """Sleep. Raises ClosingError as soon as the deliverer closes."""
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            return
        raise ClosingError
