"""What goes wrong in a life: when, for whom and how, drawn from its seed."""

import asyncio
from collections import Counter
from collections.abc import Callable
from random import Random

from meter.kafka.records import Record
from schemas.topics import CHAT_EVENTS
from tests.simulation.broker import Broker
from tests.simulation.clickhouse import Store
from tests.simulation.process import Process
from tests.simulation.workers import AGGREGATOR_TOPICS, METER_TOPICS, SESSION_MS

SESSION_S = SESSION_MS / 1000
KINDS = ("meter", "aggregator")
READ = (*METER_TOPICS, *AGGREGATOR_TOPICS)


class Faults:
    """Starts the first workers, breaks what it can, and leaves a world in which everything runs."""

    def __init__(
        self,
        rng: Random,
        broker: Broker,
        store: Store,
        running: Callable[[str], list[Process]],
        start: Callable[[str], Process],
        happened: Counter[str],
    ) -> None:
        self._rng = rng
        self._broker = broker
        self._store = store
        self._running = running
        self._start = start
        self._happened = happened
        self._wished = {kind: rng.randint(1, 3) for kind in KINDS}

    async def run(self) -> None:
        """A dozen faults or fewer, then peace."""
        for kind in KINDS:
            for _ in range(self._wished[kind]):
                self._doomed(self._start(kind))
        acts = (
            self._restart,
            self._restart,
            self._join,
            self._leave,
            self._broker_away,
            self._clickhouse_away,
            self._abort,
            self._announce_again,
        )
        for _ in range(self._rng.randint(0, 12)):
            await asyncio.sleep(self._rng.random() * 8)
            await self._rng.choice(acts)()
            if self._rng.random() < 0.3:
                self._broker.compact_something()
        self._peace()

    def _doomed(self, process: Process) -> None:
        """Most processes meet their fate at some step, no matter what they do there."""
        at_step = int(2 ** (self._rng.random() * 10))
        fate = self._rng.random()
        if fate < 0.4:
            process.at_step[at_step] = lambda: self._kill(process)
        elif fate < 0.8:
            process.at_step[at_step] = lambda: self._pause(process)

    def _kill(self, process: Process) -> None:
        self._happened["kills"] += 1
        process.kill()

    def _pause(self, process: Process) -> None:
        """Now and then for longer than the session: it is superseded, and writes on when it wakes."""
        for_s = self._rng.random() * 4 * SESSION_S
        self._happened["zombies" if for_s > SESSION_S else "pauses"] += 1
        process.pause()
        asyncio.get_running_loop().call_later(for_s, process.resume)

    async def _restart(self) -> None:
        """A supervisor starts what has ended, sooner or later."""
        for kind in KINDS:
            while len(self._running(kind)) < self._wished[kind]:
                self._doomed(self._start(kind))

    async def _join(self) -> None:
        self._happened["joins"] += 1
        self._doomed(self._start(self._rng.choice(KINDS)))

    async def _leave(self) -> None:
        """Told to stop, in the middle of its work."""
        running = self._running(self._rng.choice(KINDS))
        if running:
            self._happened["leaves"] += 1
            self._rng.choice(running).leave()

    async def _broker_away(self) -> None:
        self._happened["broker outages"] += 1
        self._broker.up.clear()
        await asyncio.sleep(self._rng.random() * 10)
        self._broker.up.set()

    async def _abort(self) -> None:
        """Of transactions that outsiders write, only what is committed counts."""
        self._happened["transactions"] += 1
        for topic in READ:
            if self._rng.random() < 0.5:
                self._broker.abort((topic, self._rng.randrange(self._broker.number)))

    async def _clickhouse_away(self) -> None:
        self._happened["clickhouse outages"] += 1
        self._store.away = True
        await asyncio.sleep(self._rng.random() * 20)
        self._store.away = False

    async def _announce_again(self) -> None:
        """A worker that starts, or an operator who sets it again, tells a partition of a version that it has had."""
        place = CHAT_EVENTS.name, self._rng.randrange(self._broker.number)
        told = [record.value for record in self._broker.records[place] if b'"meter.policy"' in record.value]
        if told:
            self._happened["policies again"] += 1
            self._broker.add(place, Record(None, self._rng.choice(told)))

    def _peace(self) -> None:
        if self._rng.random() < 0.3:
            for topic in READ:
                self._broker.abort((topic, 0))
        for kind in KINDS:
            for process in self._running(kind):
                process.at_step.clear()
            self._start(kind)
