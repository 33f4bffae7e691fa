"""All that an act needs of its round, and what it leaves for the judgement."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.chaos import logs
from tests.chaos.clickhouse import Server
from tests.chaos.draining import drained, wait_supervised
from tests.chaos.feeding import Feeding
from tests.chaos.fleet import Fleet
from tests.chaos.operator_acts import ActError, Operator
from tests.chaos.plan import Plan

DRAIN_S: Final = 180.0
"""How long everything may take to reach ClickHouse before an act."""


@dataclass
class Aftermath:
    """What an act has made of the topics."""

    former: list[logs.Record] = field(default_factory=list)
    """The records of a topic that was deleted."""
    starts: dict[tuple[str, int], int] = field(default_factory=dict)
    """Of the topic that is there now, the offset of each partition from which its records count: those before it are
    fillers, or were written once more above it."""
    lost: list[tuple[str, int, int]] = field(default_factory=list)
    """Topic, partition and offset of each dead letter that tells of a loss, although nothing was unread."""


@dataclass
class Scene:
    """A round while it is played."""

    bootstrap: str
    clickhouse: Server
    fleet: Fleet
    plan: Plan
    feeding: Feeding
    operator: Operator
    directory: Path
    aftermath: Aftermath = field(default_factory=Aftermath)

    def drain(self) -> None:
        """Wait until all that is written is in ClickHouse. Raises ActError if that does not come."""
        if late := drained(self.bootstrap, self.fleet, self.directory / "drained-for-act.log", DRAIN_S):
            raise ActError(late)

    def end(self, program: str, *, kills: bool) -> None:
        """End all workers of a program."""
        self.fleet.kill(program) if kills else self.fleet.stop(program)

    def start(self, program: str) -> None:
        """Start as many as the plan says."""
        for _ in range(self.plan.meters if program == "meter" else self.plan.aggregators):
            self.fleet.start(program)

    def feed_until_gate(self) -> None:
        """Let the feed write up to its next gate."""
        self.feeding.go_on()
        self.wait(self.feeding.waits)

    def wait(self, is_done: Callable[[], bool]) -> None:
        """Return once `is_done`, and supervise meanwhile."""
        wait_supervised(self.fleet, is_done)
