"""One simulated life: a feed, processes that fail in every way, and an audit. All of it follows from a seed."""

import asyncio
import logging
import traceback
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from unittest.mock import patch

from meter.core.policy import Policy
from meter.core.sessions import accepted_ids
from meter.ingest.feeder import Feeder
from tests.feeds.generator import START_MS
from tests.feeds.lines import DAY_MS, is_command
from tests.properties.pipeline import classified
from tests.properties.policies import Announcer
from tests.properties.view import view
from tests.simulation import workload
from tests.simulation.auditor import audit
from tests.simulation.broker import Broker, Place
from tests.simulation.clickhouse import Store
from tests.simulation.faults import Faults
from tests.simulation.group import Coordinator
from tests.simulation.headers import ClientLine, headers_lost
from tests.simulation.history import audit_history
from tests.simulation.loop import VirtualLoop
from tests.simulation.misplacing import Misplacing, repeated_moves
from tests.simulation.orders import some_slice_size
from tests.simulation.poison import Poison
from tests.simulation.process import Process
from tests.simulation.workers import (
    AGGREGATOR_TOPICS,
    METER_TOPICS,
    SESSION_MS,
    SimClock,
    start_aggregator,
    start_meter,
)

NOW_MS = START_MS + 30 * DAY_MS
MOST_EVENTS = 60
MISPLACING_LIVES = 0.3
"""Share of lives whose clients choose keys and partitions as they like."""
LONGEST_S = 100_000.0
"""Virtual time by which everything has been drained, or something is wrong."""


@dataclass
class Lives:
    """What became of some seeds: how many lives were right, what happened in them, and which were wrong and how."""

    lived: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[int, str]] = field(default_factory=list)


class World:
    """Everything that a life goes on in."""

    def __init__(self, seed: int, most_events: int) -> None:
        self.rng = Random(seed)
        self.misplaces = self.rng.random() < MISPLACING_LIVES
        self.lines = workload.drawn(self.rng, most_events, NOW_MS, within_a_day=self.misplaces)
        self.happened: Counter[str] = Counter()
        self.poison = Poison(self.rng, self.lines)
        self.policy = Policy()
        self.broker = Broker(self.rng, self.rng.choice((1, 2, 3)), NOW_MS)
        self.store = Store(self.rng)
        self.groups = {
            "meter": Coordinator(self.broker, METER_TOPICS, SESSION_MS / 1000),
            "aggregator": Coordinator(self.broker, AGGREGATOR_TOPICS, SESSION_MS / 1000),
        }
        self.processes: list[Process] = []
        self.drops = self.rng.choice((0.0, 0.1))
        self._started = 0
        self._restarted = 0

    def start(self, kind: str) -> Process:
        """Start a worker of one kind."""
        self._started += 1
        process = Process(f"{kind}-{self._started}", self.rng)
        self.processes.append(process)
        if kind == "meter":
            start_meter(process, self.broker, self.groups[kind], self.policy, self.poison, drops=self.drops)
            process.on_kill.append(self._start_again)
        else:
            start_aggregator(process, self.broker, self.groups[kind], self.store, drops=self.drops)
        return process

    def _start_again(self) -> None:
        """A supervisor starts what a record has ended, also in peace."""
        if self.poison.deaths > self._restarted:
            self._restarted += 1
            self.happened["poison deaths"] += 1
            asyncio.get_running_loop().call_later(self.rng.random() * 5, self.start, "meter")

    def running(self, kind: str) -> list[Process]:
        """The workers of a kind that have not ended."""
        return [each for each in self.processes if each.name.startswith(kind) and not each.dead]

    async def live(self) -> None:
        """Feed, fail, recover, drain."""
        coordinators = [asyncio.create_task(group.run()) for group in self.groups.values()]
        faults = Faults(self.rng, self.broker, self.store, self.running, self.start, self.happened)
        failing = asyncio.create_task(faults.run())
        await self._feed()
        await failing
        await self._drained(*self.groups)
        for task in coordinators:
            task.cancel()

    async def _feed(self) -> None:
        """The bot runtimes and the console: never down, and nothing of theirs comes twice unless the feed says so."""
        runtime = Process("runtime", self.rng)
        self.processes.append(runtime)
        line = (Misplacing if self.misplaces else ClientLine)(self.broker, runtime, repeats=False)
        if isinstance(line, Misplacing):
            await self._feed_misplaced(line)
            return
        feeder = Feeder(line, self.policy, SimClock(NOW_MS))
        announcer = Announcer(feeder, line, self.policy)
        unfed = classified(self.lines)
        while unfed:
            size = self.rng.choice((1, 3, 10, 50))
            if unfed[0].is_command:
                size = max(size, sum(1 for _ in _head(self.lines)))
            await announcer.feed(unfed[:size])
            unfed = unfed[size:]
            await asyncio.sleep(self.rng.random() * 3)
        await feeder.close()

    async def _feed_misplaced(self, line: Misplacing) -> None:
        """The same of clients that misplace records.

        A record that is moved arrives later than those behind it. So a misplaced command has arrived before the next
        line is written, because commands depend on their order; and all events have before the feed ends.
        """
        feeder = Feeder(line, self.policy, SimClock(NOW_MS))
        unfed = classified(self.lines)
        while unfed:
            size = 1 if unfed[0].is_command else self.rng.choice((1, 3, 10))
            size = next((at for at, each in enumerate(unfed[1:size], 1) if each.is_command), size)
            misplaced = line.misplaced
            await feeder.feed(unfed[:size])
            if unfed[0].is_command and line.misplaced > misplaced:
                await self._drained("meter")
            elif not unfed[0].is_command:
                await asyncio.sleep(self.rng.random() * 3)
            unfed = unfed[size:]
        await self._drained("meter")
        self.happened["misplaced"] += line.misplaced
        await feeder.close()

    async def _drained(self, *kinds: str) -> None:
        """Wait until the groups of these kinds have read everything."""
        loop = asyncio.get_running_loop()
        while not all(self._is_read(self.groups[kind]) for kind in kinds):
            assert loop.time() < LONGEST_S, f"not drained: {self._unread()}"
            self._raise_what_failed()
            await asyncio.sleep(1)

    def _raise_what_failed(self) -> None:
        for process in self.processes:
            for task in process.tasks:
                if task.done() and not task.cancelled() and task.exception() is not None:
                    task.result()

    def _is_read(self, group: Coordinator) -> bool:
        return all(group.committed[place] >= self.broker.ends[place] for place in group.places)

    def _unread(self) -> dict[Place, tuple[int, int]]:
        return {
            place: (group.committed[place], self.broker.ends[place])
            for group in self.groups.values()
            for place in group.places
            if group.committed[place] < self.broker.ends[place]
        }


def _head(lines: list[bytes]) -> list[bytes]:
    """The commands that a feed begins with."""
    first = next((place for place, text in enumerate(lines) if not is_command(text)), len(lines))
    return lines[:first]


def live_all(seeds: range, most_events: int = MOST_EVENTS) -> Lives:
    """Live one life a seed."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # Everything goes wrong here, on purpose.
    lives = Lives()
    for seed in seeds:
        try:
            lives.happened += live(seed, most_events)
            lives.lived += 1
        except Exception:
            lives.failed.append((seed, traceback.format_exc(limit=-6)))
    logging.disable(disabled)
    return lives


def live(seed: int, most_events: int = MOST_EVENTS) -> Counter[str]:
    """Live one life and audit it; what happened in it. Raises an error that says what is wrong."""
    # A life is short, so buckets of ids are small: otherwise none would be closed, dropped or spilled.
    with patch.object(accepted_ids, "BUCKET_IDS", (1, 2, 5, 256)[seed % 4]):
        return _live(seed, most_events)


def _live(seed: int, most_events: int) -> Counter[str]:
    loop = VirtualLoop(Random(seed))
    try:
        asyncio.set_event_loop(loop)
        world = loop.run_until_complete(_world(seed, most_events))
        with some_slice_size(world.rng):
            loop.run_until_complete(world.live())
            if world.poison.line is None:  # The log alone does not say which record was left out.
                audit_history(world.store, world.broker, world.policy)
        view(world.broker)
        expected, lines = world.poison.expected(world.lines, NOW_MS)
        audit(world.store, world.broker, expected, lines, repeated_moves(world.broker))
        lost = headers_lost(world.broker)
        assert not lost, "\n".join(lost)
        return world.happened + Counter(events=len(world.lines))
    finally:
        _end(loop)


async def _world(seed: int, most_events: int) -> World:
    return World(seed, most_events)


def _end(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    asyncio.set_event_loop(None)
    loop.close()
