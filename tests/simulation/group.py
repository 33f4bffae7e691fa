"""Consumer groups: who reads which partition, as the coordinator knows it and as each member believes."""

import asyncio
from collections import defaultdict
from collections.abc import Callable

from faust.types import TP

from tests.simulation.broker import Broker, Place
from tests.simulation.process import Process

HEARTBEAT_S = 1.0
CUT_OFF_S = 40.0


class Coordinator:
    """Gives the partitions of some topics to the members of a group, anew whenever one comes, goes or falls silent."""

    def __init__(self, broker: Broker, topics: tuple[str, ...], session_s: float) -> None:
        self.broker = broker
        self.rng = broker.rng
        self.places: list[Place] = [(topic, number) for topic in topics for number in range(broker.number)]
        self.session_s = session_s
        self.committed: defaultdict[Place, int] = defaultdict(int)
        self.generation = 0
        self.members: list[Member] = []
        self._wanted = asyncio.Event()

    def join(self, member: "Member") -> None:
        """A process comes, or comes back."""
        if member not in self.members:
            self.members.append(member)
        self._wanted.set()

    def leave(self, member: "Member") -> None:
        """A process goes in order, or has been silent for a session."""
        if member in self.members:
            self.members.remove(member)
            self._wanted.set()

    async def run(self) -> None:
        """Distribute whenever a member wants it. A member that is silent is waited for until its session is over."""
        while True:
            await self._wanted.wait()
            await asyncio.sleep(self.rng.random() * HEARTBEAT_S)
            await self._all_heard()
            self._wanted.clear()
            self.generation += 1
            self._distribute()

    async def _all_heard(self) -> None:
        while True:
            for member in self.members:
                if not member.process.paused and not member.process.dead:
                    member.is_moving = True
            if all(member.is_moving for member in self.members):
                return
            await asyncio.sleep(HEARTBEAT_S)

    def _distribute(self) -> None:
        places = list(self.places)
        self.rng.shuffle(places)
        for number, member in enumerate(self.members):
            member.tell(self.generation, sorted(places[number :: len(self.members)]))

    def commit(self, member: "Member", place: Place, offset: int) -> bool:
        """Accepted of members of the current generation only."""
        if member not in self.members or member.generation != self.generation:
            return False
        self.committed[place] = offset
        return True


class Member:
    """What one process believes of its place in the group: the `Group` of its stages."""

    def __init__(self, coordinator: Coordinator, process: Process) -> None:
        self.process = process
        self._coordinator = coordinator
        self.generation = 0
        self.is_moving = True
        self.mine: list[Place] = []
        self.positions: dict[Place, int] = {}
        self.assignments = 0
        self.on_assigned: Callable[[], None] = lambda: None
        self._silences = 0
        process.on_pause.append(self._fall_silent)
        process.on_kill.append(self._fall_silent)
        process.on_leave.append(lambda: coordinator.leave(self))
        process.on_resume.append(self._speak_again)

    def tell(self, generation: int, places: list[Place]) -> None:
        """The coordinator's word, which takes its time."""

        def hear() -> None:
            if self.process.paused:
                self.process.on_resume.append(hear)
            elif generation > self.generation:
                self.generation, self.mine, self.is_moving = generation, places, False
                self.positions = {place: self._coordinator.committed[place] for place in places}
                self.assignments += 1
                self.on_assigned()
                self._coordinator.broker.wake()

        asyncio.get_running_loop().call_later(self.process.rng.random() * HEARTBEAT_S, hear)

    def _fall_silent(self) -> None:
        self._silences += 1
        silence = self._silences

        def expire() -> None:
            if silence == self._silences and (self.process.dead or self.process.paused):
                self._coordinator.leave(self)

        asyncio.get_running_loop().call_later(self._coordinator.session_s, expire)

    def _speak_again(self) -> None:
        """With its next heartbeat a process that was given up learns so, and joins again. Some are cut off from the
        coordinator for long, and from no other.
        """

        def heartbeat() -> None:
            if not self.process.dead and self not in self._coordinator.members:
                self.is_moving = True
                self._coordinator.join(self)

        longest_s = self.process.rng.choice((2 * HEARTBEAT_S, CUT_OFF_S))
        asyncio.get_running_loop().call_later(self.process.rng.random() * longest_s, heartbeat)

    def assigned(self, topic: str) -> list[TP]:
        """As `Group` has it."""
        return [TP(*place) for place in self.mine if place[0] == topic]

    def end(self, tp: TP) -> int:
        """As `Group` has it."""
        return self._coordinator.broker.ends[tp.topic, tp.partition]

    async def beginning(self, tp: TP) -> int:  # noqa: ARG002 - nothing is ever deleted of what is read
        """As `Group` has it."""
        await self.process.step()
        return 0

    async def committed(self, tp: TP) -> int | None:
        """As `Group` has it."""
        await self.process.step()
        return self._coordinator.committed[tp.topic, tp.partition]

    async def position(self, tp: TP) -> int | None:
        """As `Group` has it."""
        await self.process.step()
        return self.positions.get((tp.topic, tp.partition))

    async def seek(self, tp: TP, offset: int) -> None:
        """As `Group` has it."""
        await self.process.step()
        if (tp.topic, tp.partition) in self.positions:
            self.positions[tp.topic, tp.partition] = offset
            self._coordinator.broker.wake()

    async def commit(self, tp: TP, offset: int) -> bool:
        """As `Group` has it."""
        await self.process.step()
        await self._coordinator.broker.up.wait()
        done = self._coordinator.commit(self, (tp.topic, tp.partition), offset)
        await self.process.step()
        return done
