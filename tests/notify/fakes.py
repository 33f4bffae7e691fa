"""A topic of receipts in memory, an outlet that answers as it is told, and notices to send."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec
from aiokafka.errors import KafkaConnectionError

from meter.kafka.records import Delivery as Acknowledged
from meter.kafka.records import Record
from meter.notify.job import Job
from meter.notify.outlets import AwayError, Bound
from meter.notify.receipts import Receipts
from meter.notify.samples import AT, sample
from schemas.deliveries import Again, Channel, Delivery, read_delivery
from schemas.instants import to_ms
from schemas.notices import Notice, Recipient

WRITTEN_MS = to_ms(AT) + 1_000
"""When notices are written here, unless a test says otherwise: a second after their event."""


class Stored(NamedTuple):
    """A record of the topic, with what the product reads of it."""

    partition: int
    offset: int
    value: bytes | None


class MemoryTopics:
    """Partitions of receipts, as lists. The next `failures` writes fail."""

    def __init__(self, partitions: int = 2) -> None:
        self.records: list[list[Stored]] = [[] for _ in range(partitions)]
        self.failures = 0
        self.starts: list[dict[int, int]] = []
        self.appended: asyncio.Queue[None] = asyncio.Queue()

    async def partitions(self, topic: str) -> int:
        assert topic == "deliveries"
        return len(self.records)

    async def append_keyed(self, topic: str, records: list[Record]) -> list[Acknowledged]:
        assert topic == "deliveries"
        if self.failures:
            self.failures -= 1
            raise KafkaConnectionError("away")
        for record in records:
            number = sum(record.key or b"") % len(self.records)
            self.put(number, record.value)
            self.appended.put_nowait(None)
        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return [done]

    def put(self, partition: int, value: bytes | None) -> None:
        """Write a record as any client could."""
        log = self.records[partition]
        log.append(Stored(partition, len(log), value))

    async def read(self, starts: dict[int, int]) -> AsyncIterator[Any]:
        self.starts.append(dict(starts))
        for number, start in starts.items():
            for record in self.records[number][start:]:
                yield record

    def receipts(self) -> list[Delivery]:
        """All receipts, those of one notice in their order."""
        found = [read_delivery(each.value) for log in self.records for each in log]
        return [each for each in found if each is not None]

    def said(self, notice_id: str) -> list[str]:
        """Status and, if there is one, reason of each receipt of a notice."""
        mine = [each for each in self.receipts() if each.notice_id == notice_id]
        return [f"{each.status}: {each.reason}" if each.reason else each.status for each in mine]


def receipts_on(topics: MemoryTopics) -> Receipts:
    """The receipts of a new process on this topic."""
    return Receipts(topics, topics.read)


class ScriptedOutlet:
    """An outlet that raises the errors it was given for a recipient, one an attempt, and then takes everything.

    `hold` stops every attempt until `go` is set, and `begun` has an item for each attempt. The next `away` attempts
    find no server. `most` is how many attempts were under way at once.
    """

    channel: Channel = "mail"
    endpoint = ""
    group = "notify-mail"

    def __init__(self, *, slots: int = 4, bound: Bound = "refused", judges_age: bool = True) -> None:
        self.slots = slots
        self.bound: Bound = bound
        self.judges_age = judges_age
        self.script: defaultdict[str, deque[Exception]] = defaultdict(deque)
        self.attempts: list[tuple[str, str]] = []
        self.sent: list[tuple[str, str]] = []
        self.hold = False
        self.away = 0
        self.begun: asyncio.Queue[None] = asyncio.Queue()
        self.go = asyncio.Event()
        self.under_way = 0
        self.most = 0

    def recipients(self, notice: Notice) -> list[str]:
        return [each.email for each in notice.to]

    async def send(self, notice: Notice, recipient: str) -> None:
        self.attempts.append((notice.notice_id, recipient))
        self.begun.put_nowait(None)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            if self.hold:
                await self.go.wait()
            if self.away:
                self.away -= 1
                raise AwayError("no connection")
            if self.script[recipient]:
                raise self.script[recipient].popleft()
            self.sent.append((notice.notice_id, recipient))
        finally:
            self.under_way -= 1

    async def close(self) -> None:
        """Nothing is open."""


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now_s += seconds
        await asyncio.sleep(0)


def notice(notice_id: str = "n-1", to: Sequence[str] = ("mia@example.com",), template: str = "low-balance") -> Notice:
    """A notice to these addresses."""
    people = tuple(Recipient(email=each, name="Mia") for each in to)
    return msgspec.structs.replace(sample(template), notice_id=notice_id, to=people)


def job(of: Notice | None = None, *, offset: int = 0, late: timedelta = timedelta(), again: Again | None = None) -> Job:
    """A job of a notice that was written `late` after its event."""
    of = of or notice()
    written_ms = to_ms(of.occurred_at) + int(late.total_seconds() * 1000)
    return Job(of, 0, offset, written_ms, again)
