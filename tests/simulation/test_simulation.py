"""The simulation itself: it passes, it replays, and it can fail."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aggregator.core.rows import Block
from schemas.topics import TOPICS
from tests.simulation import life
from tests.simulation.clickhouse import Store

ROOT = Path(__file__).resolve().parents[2]
LAST_LINE = re.compile(r"simulate: (?P<seeds>[\d,]+) seeds, .* (?P<failed>\d+) failed")


def simulate(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person would."""
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_two_hundred_lives_come_to_what_the_oracle_says() -> None:
    """Any crash, any order, any repetition: the same bill as a single pass (DOMAIN, Metering 5)."""
    done = simulate("--seeds", "200", "--jobs", str(os.cpu_count() or 1))
    assert done.returncode == 0, done.stdout + done.stderr
    found = LAST_LINE.fullmatch(done.stdout.splitlines()[-1])
    assert found
    assert (found["seeds"], found["failed"]) == ("200", "0")
    assert "kills" in found[0]
    assert "zombies" in found[0]


def everything(seed: int, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """All that all topics held at the end of a life."""
    worlds: list[life.World] = []
    monkeypatch.setattr(life, "audit", lambda *_: None)

    class Kept(life.World):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            worlds.append(self)

    monkeypatch.setattr(life, "World", Kept)
    life.live(seed)
    return [[str(record) for record in worlds[0].broker.all_of(topic.name)] for topic in TOPICS]


def test_a_seed_replays_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every record of every topic, state included; another seed is another life."""
    assert everything(7, monkeypatch) == everything(7, monkeypatch)
    assert everything(7, monkeypatch) != everything(8, monkeypatch)


def some_fail(seeds: range = range(1, 60)) -> bool:
    """Whether one of some lives is found to be wrong."""
    return any(life.live_all(seeds[at : at + 1]).failed for at in range(len(seeds)))


def forgetful(insert: Callable[[Store, Block], None]) -> Callable[[Store, Block], None]:
    """A ClickHouse that says it has written what it has not, now and then."""

    def instead(store: Store, block: Block) -> None:
        if store.inserts % 5 != 4:
            insert(store, block)
        store.inserts += 1

    return instead


def test_a_store_that_loses_rows_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit compares what is there, not what was said."""
    monkeypatch.setattr(Store, "insert", forgetful(Store.insert))
    assert some_fail()
