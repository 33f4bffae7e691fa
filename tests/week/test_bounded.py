"""Nothing that the folds hold grows for ever: what the late horizon has passed is forgotten, seen ids with it."""

import pickle
from collections.abc import Callable, Iterable, Iterator

import pytest

from meter.charger.charger import Charger
from meter.core.policy import Policy
from meter.kafka.records import Record
from meter.sessionizer.sessionizer import Sessionizer
from meter.stage.blocks import unpack
from meter.stage.fold import Fold
from schemas.topics import CHAT_EVENTS, WALLET_INPUTS
from tests.feeds.lines import DAY_MS, millis
from tests.packed_records import listed
from tests.properties.memory_log import stored
from tests.sessionizer_engines import core, kernel, needs_kernel
from tests.week.load import Load

START_MS = millis(2026, 9, 7)
NOW_MS = START_MS + 30 * DAY_MS
DAYS = 6
BATCH = 200


class Reader:
    """One fold that reads a log of its own, with a checkpoint after every batch."""

    def __init__(self, topic: str, fold: Fold, held_bytes: Callable[[], int] | None = None) -> None:
        self.fold = fold
        self._held_bytes = held_bytes or (lambda: len(pickle.dumps(fold)))
        self.saved: dict[bytes, bytes] = {}
        self._topic = topic
        self._next_offset = 0

    def read(self, values: Iterable[bytes | None]) -> Iterator[bytes | None]:
        """What a batch makes it tell the wallets."""
        offsets = range(self._next_offset, self._next_offset + BATCH)
        batch = [
            stored(self._topic, 0, offset, Record(b"w", value), NOW_MS)
            for offset, value in zip(offsets, values, strict=False)
        ]
        self._next_offset += len(batch)
        outputs = list(self.fold.process(batch)) if batch else []
        self.fold.mark()
        for block in self.fold.changed():
            for key, value in unpack(block):
                self.saved.pop(key, None)
                if value is not None:
                    self.saved[key] = value
        outputs += self.fold.confirm(self._next_offset - 1)
        for output in outputs:
            if output.topic == WALLET_INPUTS:
                yield from (record.value for record in listed(output.records))

    @property
    def held(self) -> tuple[int, int]:
        """Bytes in memory, private heaps and all, and records that compaction would keep."""
        return self._held_bytes(), len(self.saved)


@pytest.fixture(scope="module", params=[core, pytest.param(kernel, marks=needs_kernel)], ids=["core", "kernel"])
def days(request: pytest.FixtureRequest) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """What sessionizer and charger held at the end of each day of a steady load."""
    engine = request.param(Policy(), 0)
    fold = Sessionizer(Policy(), 0, lambda *_: engine)
    sessionizer = Reader(CHAT_EVENTS.name, fold, lambda: getattr(engine, "held_bytes", 0) or len(pickle.dumps(engine)))
    charger = Reader(WALLET_INPUTS.name, Charger(Policy(), 0))
    load = Load(1, START_MS, events_a_minute=1.5)
    held = []
    for day in range(1, DAYS + 1):
        lines = list(load.until(START_MS + day * DAY_MS))
        for at in range(0, len(lines), BATCH):
            told = list(sessionizer.read(lines[at : at + BATCH]))
            for start in range(0, len(told), BATCH):
                list(charger.read(told[start : start + BATCH]))
        held.append((sessionizer.held, charger.held))
    return held


@pytest.mark.parametrize("who", [0, 1], ids=["sessionizer", "charger"])
@pytest.mark.parametrize("what", [0, 1], ids=["memory", "state topic"])
def test_nothing_grows_once_the_horizon_is_full(
    days: list[tuple[tuple[int, int], tuple[int, int]]], who: int, what: int
) -> None:
    """From the third day on as much is forgotten as is learnt."""
    curve = [day[who][what] for day in days]
    assert max(curve[3:]) < 1.1 * curve[2], curve
    assert curve[2] > 100
