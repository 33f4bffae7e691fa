"""A process that can end, or be paused, between any two of its effects."""

import asyncio
from collections.abc import Callable
from random import Random

from tests.simulation.loop import FrozenError


class Process:
    """Every effect of a process waits here before it happens and before it is known to have happened."""

    def __init__(self, name: str, rng: Random) -> None:
        self.name = name
        self.rng = rng
        self.dead = False
        self.paused = False
        self.steps = 0
        self.at_step: dict[int, Callable[[], None]] = {}
        """What befalls the process at its n-th step."""
        self.on_pause: list[Callable[[], None]] = []
        self.on_resume: list[Callable[[], None]] = []
        self.on_kill: list[Callable[[], None]] = []
        self.on_leave: list[Callable[[], None]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self._resumed = asyncio.Event()

    async def step(self, longest_s: float = 0.02) -> None:
        """Let some time pass. Does not come back in a process that has ended, nor before a paused one goes on."""
        self._befall()
        await asyncio.sleep(self.rng.random() * longest_s)
        await self.standing()

    async def standing(self) -> None:
        """Return once the process runs; never, if it has ended."""
        while self.paused and not self.dead:
            await self._resumed.wait()
        if self.dead:
            await asyncio.get_running_loop().create_future()

    def thread_step(self) -> None:
        """The same for a thread's work, which cannot wait: it is done once the process runs, and never if it ended."""
        self._befall()
        if self.dead or self.paused:
            raise FrozenError(self._once_resumed)

    def _once_resumed(self, work: Callable[[], None]) -> None:
        def again() -> None:
            self.on_resume.remove(again)
            work()

        self.on_resume.append(again)

    def _befall(self) -> None:
        self.steps += 1
        fate = self.at_step.pop(self.steps, None)
        if fate is not None and not self.dead:
            fate()

    def kill(self) -> None:
        """End, at once and for ever."""
        if not self.dead:
            self.dead = True
            self._resumed.set()
            self._tell(self.on_kill)

    def leave(self) -> None:
        """End in order: the group hears of it at once."""
        self.kill()
        self._tell(self.on_leave)

    def pause(self) -> None:
        """Stop where it stands."""
        if not self.paused and not self.dead:
            self.paused = True
            self._resumed.clear()
            self._tell(self.on_pause)

    def resume(self) -> None:
        """Go on, knowing nothing of the time between."""
        if self.paused and not self.dead:
            self.paused = False
            self._resumed.set()
            self._tell(self.on_resume)

    @staticmethod
    def _tell(listeners: list[Callable[[], None]]) -> None:
        for listener in list(listeners):
            listener()
