"""Writing the lines of a feed to Kafka, as bot runtimes and the console would write them."""

import time
from collections.abc import Callable, Iterable
from typing import Final

from meter.core.policy import Policy
from meter.ingest.feed_files import Line, is_future
from meter.kafka.records import Delivery, Record
from meter.kafka.topics import delivered
from meter.stage.ports import Clock, Topics
from schemas.events import encode_tick
from schemas.topics import CHAT_EVENTS, WALLET_INPUTS

CHUNK_LINES: Final = 10_000
"""How many events are collected before they are written and acknowledged."""


class Feeder:
    """Writes lines to Kafka unchanged, and keeps causes before effects.

    Commands go to wallet-inputs, all other lines to chat-events. Commands are acknowledged before a later event is
    sent, and events before a later command, so no charge precedes the purchase that pays for it.

    An event that is more than the late horizon behind the feed's newest event must be late in any partition. A
    partition whose own events have not reached the newest time gets a tick with it first.
    """

    def __init__(self, topics: Topics, policy: Policy, clock: Clock = time) -> None:
        self._topics = topics
        self._policy = policy
        self._clock = clock
        self.end_ms: int | None = None
        """The newest event time of all lines so far, commands included; None before the first."""
        self.written = 0
        """How many records the broker has acknowledged, without those of `close`."""
        self.refused = 0
        """How many lines so far cannot be read as events or commands. The meter makes dead letters of them."""
        self._newest_ms = 0
        self._reached_ms: dict[int, int] = {}  # Partition -> the newest event time sent to it.
        self._events: list[tuple[int, Record]] = []
        self._commands: list[Record] = []

    async def feed(self, lines: Iterable[Line], on_written: Callable[[int], None] = lambda _: None) -> None:
        """Write all lines, and return when the broker has acknowledged them.

        `on_written` is called with a number of events each time that many are about to be written.
        """
        for line in lines:
            self.refused += line.at_ms is None
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
        """Write a final tick with the feed's newest time to every partition: all conversations close there.

        Call it after `feed`. Does nothing if no line had a time.
        """
        if self.end_ms is not None:
            final = Record(None, encode_tick(self.end_ms, final=True))
            for partition in range(await self._topics.partitions(CHAT_EVENTS.name)):
                await self._topics.write(CHAT_EVENTS.name, partition, [final])

    async def _add_event(self, line: Line) -> None:
        partition = await self._topics.partition_of(CHAT_EVENTS.name, line.key)
        if line.at_ms is not None and not is_future(line.at_ms, self._clock):
            reached_ms = self._reached_ms.get(partition, 0)
            if line.at_ms < self._newest_ms - self._policy.horizon_ms and reached_ms < self._newest_ms:
                self._events.append((partition, Record(None, encode_tick(self._newest_ms))))
                reached_ms = self._newest_ms
            self._reached_ms[partition] = max(reached_ms, line.at_ms)
        self._events.append((partition, Record(line.key or None, line.value)))

    def _note_time(self, line: Line) -> None:
        if line.at_ms is not None and not is_future(line.at_ms, self._clock):
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
