"""The world of a stage, for the tests of its order and of its ownership."""

import os
from collections.abc import Awaitable, Callable

import pytest

from meter.kafka.records import Record
from meter.stage.checkpoints import Restored, SupersededError
from meter.stage.evidence import Evidence
from meter.stage.fold import State
from meter.stage.mark import Version
from meter.stage.quarantine import Quarantine
from tests.unit.stage_fakes import LIFE, PARTITION, World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A world in which processes do not really end."""
    found = World()

    class Checkpoints:
        life = LIFE
        epoch = -1

        def __init__(self, *_: object) -> None:
            self.quarantine = Quarantine(self.write_one, PARTITION.topic, b"owner", Evidence(), Version(0, -1))

        async def write_one(self, record: Record) -> int:
            found.state_records.append(record)
            return len(found.state_records) - 1

        async def restore(self, state: State) -> Restored:
            self.epoch = found.epoch_marked
            found.restores += 1
            state.finish(None, -1)
            return found.restored

        async def are_the_newest(self) -> bool:
            return found.is_newest

        async def write(self, offset: int, state: State, may_go_on: Callable[[], Awaitable[bool]]) -> int:
            for block in state.changed():
                found.note(f"state {block.decode()}")
            if not await may_go_on():
                raise SupersededError
            found.note(f"{state.mark().decode()} {offset}")
            found.epochs_marked.append(self.epoch)
            return 1

    monkeypatch.setattr("meter.stage.restoring.Checkpoints", Checkpoints)

    def ended(status: int) -> None:
        raise SystemExit(status)

    monkeypatch.setattr(os, "_exit", ended)
    return found
