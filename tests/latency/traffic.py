"""Events as bot runtimes write them, at a steady rate, in the present: workspaces with much credit and with little."""

import asyncio
import time
from collections.abc import Iterator
from random import Random
from typing import Final

from meter.kafka.records import Delivery, Record
from meter.kafka.topics import KafkaTopics, delivered
from schemas.topics import CHAT_EVENTS, WALLET_INPUTS
from tests.feeds.lines import chat_data, envelope, line

MEAN_MESSAGES: Final = 7.5
"""Messages of a conversation, as in real traffic."""

LITTLE_MICROS: Final = 2_000_000
"""Credit of every second workspace: ten conversations, so that it is used up during the run."""

TICK_S: Final = 0.01
TALKING: Final = 20_000
"""Conversations that are under way, at most."""


class Traffic:
    """`rate` events a second of `workspaces` workspaces, without an end."""

    def __init__(self, rate: int, workspaces: int, seed: int) -> None:
        self._rate, self._workspaces, self._rng = rate, workspaces, Random(seed)
        self._talking: list[tuple[str, int]] = []
        self._visitors = 0
        self._events = 0
        self.late_s = 0.0
        """By how much the feeder itself was behind, at worst."""

    def commands(self) -> Iterator[Record]:
        """The workspaces, half of them with little credit."""
        now_ms = int(time.time() * 1000)
        for number in range(self._workspaces):
            name = f"ws-{number:05}"
            data = {"workspace_id": name, "plan": "standard"}
            grant = {"free_grant_micros": LITTLE_MICROS} if number % 2 else {}
            told = envelope("billing.workspace.created", now_ms, f"c-{number}", "/console", data | grant)
            yield Record(name.encode(), line(told))

    async def run(self, log: KafkaTopics, seconds: float) -> int:
        """Write for so long; how many events it were."""
        await log.append_keyed(WALLET_INPUTS.name, self.commands())
        began_s = time.monotonic()
        deliveries: list[Delivery] = []
        while (passed_s := time.monotonic() - began_s) < seconds:
            owed = int(passed_s * self._rate) - self._events
            self.late_s = max(self.late_s, owed / self._rate - TICK_S)
            deliveries += await log.append_keyed(CHAT_EVENTS.name, [self._event() for _ in range(owed)])
            await asyncio.sleep(TICK_S)
        await delivered(deliveries)
        return self._events

    def _event(self) -> Record:
        self._events += 1
        rng = self._rng
        begins = not self._talking or rng.random() < 1 / MEAN_MESSAGES
        if begins:
            self._visitors += 1
            speaker = f"ws-{rng.randrange(self._workspaces):05}", self._visitors
            if len(self._talking) < TALKING:
                self._talking.append(speaker)
            else:
                self._talking[rng.randrange(TALKING)] = speaker
        else:
            speaker = rng.choice(self._talking)
        workspace, visitor = speaker
        actor = "user" if begins or rng.random() < 0.5 else "bot"
        data = chat_data(workspace, f"bot-{visitor % 3}", "web", f"visitor-{visitor}", actor)
        now_ms = int(time.time() * 1000)
        return Record(workspace.encode(), line(envelope("chat.message", now_ms, f"e-{self._events}", "/runtime", data)))
