"""Feeds: files of CloudEvents, one a line, written to Kafka as bot runtimes and the console would write them."""

import time
from collections.abc import Callable, Iterable
from typing import Final

from meter.core.policy import Policy
from meter.ingest.feed_files import Line, _counts
from meter.kafka.records import Delivery, Record
from meter.kafka.topics import delivered
from meter.stage.ports import Clock, Topics
from schemas.events import encode_tick
from schemas.topics import CHAT_EVENTS, WALLET_INPUTS

CHUNK_LINES: Final = 10_000


class Feeder:
    """Writes lines to Kafka as they are, and sees that cause comes before effect.

    Commands go to the wallets' log and are acknowledged before any later event leaves. A line that is later than the
    horizon allows is late wherever it lands: its partition is first told how far the feed's event time has come.
    """

    def __init__(self, topics: Topics, policy: Policy, clock: Clock = time) -> None:
        self._topics = topics
        self._policy = policy
        self._clock = clock
        self.end_ms: int | None = None
        self.written = 0
        self._newest_ms = 0
        self._told_ms: dict[int, int] = {}
        self._events: list[tuple[int, Record]] = []
        self._commands: list[Record] = []

    async def feed(self, lines: Iterable[Line], on_written: Callable[[int], None] = lambda _: None) -> None:
        """Write all lines."""
        for line in lines:
            if line.is_command:
                await self._flush_events()
                self._commands.append(Record(line.key, line.value))
            else:
                await self._flush_commands()
                await self._add_event(line)
            self._note_time(line)
            if len(self._events) >= CHUNK_LINES:
                on_written(len(self._events))
                await self._flush_events()
        on_written(len(self._events) + len(self._commands))
        await self._flush_commands()
        await self._flush_events()

    async def close(self) -> None:
        """Move event time to the feed's end, in every partition, and say that it is the end: conversations close."""
        if self.end_ms is not None:
            final = Record(None, encode_tick(self.end_ms, final=True))
            for partition in range(await self._topics.partitions(CHAT_EVENTS.name)):
                await self._topics.write(CHAT_EVENTS.name, partition, [final])

    async def _add_event(self, line: Line) -> None:
        partition = await self._topics.partition_of(CHAT_EVENTS.name, line.key)
        if line.at_ms is not None and _counts(line.at_ms, self._clock):
            told_ms = self._told_ms.get(partition, 0)
            if line.at_ms < self._newest_ms - self._policy.horizon_ms and told_ms < self._newest_ms:
                self._events.append((partition, Record(None, encode_tick(self._newest_ms))))
                told_ms = self._newest_ms
            self._told_ms[partition] = max(told_ms, line.at_ms)
        self._events.append((partition, Record(line.key or None, line.value)))

    def _note_time(self, line: Line) -> None:
        if line.at_ms is not None and _counts(line.at_ms, self._clock):
            if not line.is_command:
                self._newest_ms = max(self._newest_ms, line.at_ms)
            self.end_ms = max(self.end_ms or 0, line.at_ms)

    async def _flush_events(self) -> None:
        events, self._events = self._events, []
        by_partition: dict[int, list[Record]] = {}
        for partition, record in events:
            by_partition.setdefault(partition, []).append(record)
        deliveries: list[Delivery] = []
        for partition, records in by_partition.items():
            deliveries += await self._topics.append(CHAT_EVENTS.name, partition, records)
        await delivered(deliveries)
        self.written += len(events)

    async def _flush_commands(self) -> None:
        if self._commands:
            commands, self._commands = self._commands, []
            await delivered(await self._topics.append_keyed(WALLET_INPUTS.name, commands))
            self.written += len(commands)
