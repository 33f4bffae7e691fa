"""State that is larger than memory: what is let go of comes back when it matters, and leaves nothing behind."""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from meter.core.policy import Policy
from meter.core.sessions.keys import is_bucket_key
from meter.kafka.records import Record
from meter.sessionizer.engine import Engine, Processed
from meter.stage.blocks import unpack
from schemas.events import encode_tick
from schemas.instants import MINUTE_MS as MINUTE
from tests.oracle.build import HOUR, NOW, T0, chat
from tests.packed_records import listed
from tests.properties.memory_log import stored
from tests.sessionizer_engines import needs_kernel, spilling

pytestmark = needs_kernel

DAY = 24 * HOUR


class Partition:
    """An engine that lets go of everything it may before it takes the next batch."""

    def __init__(self, directory: Path, above_bytes: int = 0, horizon_ms: int = DAY) -> None:
        self.engine = spilling(directory, above_bytes)(Policy(horizon_ms=horizon_ms), 0)
        self.store = self.engine.store  # type: ignore[attr-defined]
        self._offset = 0

    def process(self, *values: bytes) -> Processed:
        """A batch."""
        offsets = range(self._offset, self._offset + len(values))
        records = [
            stored("chat-events", 0, at, Record(None, each), NOW) for at, each in zip(offsets, values, strict=True)
        ]
        self._offset += len(records)
        processed = self.engine.process(records)
        return processed._replace(metered=listed(processed.metered))

    def saved(self) -> dict[bytes, bytes | None]:
        """What a checkpoint writes; then no checkpoint waits for anything."""
        return {key: value for block in self.engine.changed() for key, value in unpack(block)}

    def let_go(self, at: int) -> None:
        """All that is held is stored."""
        self.saved()
        self.engine._make_room()  # type: ignore[attr-defined]
        assert count(self) > 0 or self.engine.live == 0
        self.process(encode_tick(T0 + at))


def held(block: bytes) -> set[bytes]:
    """The keys of the interactions in a block."""
    return {key for key, _ in unpack(block) if not is_bucket_key(key)}


def count(partition: Partition) -> int:
    """How many keys its store has, of any kind."""
    return sum(1 for _ in partition.store._db.items())


@pytest.fixture(autouse=True)
def buckets_of_one() -> Iterator[None]:
    """Each id but the newest can leave memory."""
    with patch("meter.core.sessions.accepted_ids.BUCKET_IDS", 1):
        yield


@pytest.fixture
def partition(tmp_path: Path) -> Partition:
    return Partition(tmp_path)


def test_a_message_continues_a_stored_conversation(partition: Partition) -> None:
    """DOMAIN, Metering 1: the second message is of the same conversation, wherever that was meanwhile."""
    partition.process(chat(0, user="a", id="1"), chat(1, user="b", id="2"))
    partition.let_go(MINUTE)
    assert (partition.engine.live, partition.engine.stored) == (2, 2)
    processed = partition.process(chat(2 * MINUTE, user="a", id="3"))
    assert processed.outcomes == {"conversation": 1}
    assert processed.kinds == {}, "nothing new to tell: it was open"
    assert partition.engine.live == 2
    not_plain = chat(3 * MINUTE, user="b", id="4").replace(b'"b"', b'"\\u0062"')
    assert partition.process(not_plain).kinds == {}


def test_a_repeat_is_known_wherever_its_event_is(partition: Partition) -> None:
    """DOMAIN, Metering 7: the same event again, and another one under its id, plain or not."""
    partition.process(chat(0, user="a", id="1"))
    partition.let_go(MINUTE)
    assert partition.process(chat(0, user="a", id="1")).outcomes == {"duplicate": 1}
    partition.let_go(2 * MINUTE)
    assert partition.process(chat(0, user="b", id="1")).outcomes == {"conflict": 1}
    partition.let_go(3 * MINUTE)
    not_plain = chat(0, user="b", id="1").replace(b'"b"', b'"\\u0062"')
    assert not_plain != chat(0, user="b", id="1")
    assert partition.process(not_plain).outcomes == {"conflict": 1}


def test_what_is_due_comes_back_in_its_time(partition: Partition) -> None:
    """Of several that left at different times; each closes at the record that passes it, and no other is looked at."""
    partition.process(chat(0, user="a", id="1"))
    partition.let_go(MINUTE)
    partition.process(chat(5 * MINUTE, user="b", id="2"))
    partition.let_go(6 * MINUTE)
    assert partition.process(encode_tick(T0 + 15 * MINUTE)).kinds == {}
    assert partition.process(encode_tick(T0 + 15 * MINUTE + 1)).kinds == {"closed": 1}
    partition.saved()
    assert partition.process(chat(20 * MINUTE + 1, user="c", id="3")).kinds == {"closed": 1, "open": 1}


def test_the_end_of_a_feed_closes_what_is_stored(partition: Partition) -> None:
    """And only what is open."""
    partition.process(chat(0, user="a", id="1"), chat(0, user="b", id="2"))
    partition.process(chat(16 * MINUTE, user="c", id="3"))
    partition.let_go(17 * MINUTE)
    assert partition.process(encode_tick(T0 + 17 * MINUTE, final=True)).kinds == {"closed": 1}


def test_nothing_is_left_of_what_was_forgotten(partition: Partition) -> None:
    """Neither interactions nor ids nor times, however often they came and went."""
    for hour in range(4):
        partition.process(*(chat(hour * HOUR, user=f"u-{n}", id=f"{n}-{hour}") for n in range(20)))
        partition.let_go(hour * HOUR + MINUTE)
    partition.process(encode_tick(T0 + 3 * DAY))
    partition.saved()
    partition.process(encode_tick(T0 + 3 * DAY))
    assert partition.engine.live == 0
    assert count(partition) == 0


def test_an_id_that_came_back_belongs_to_the_newer_event(partition: Partition) -> None:
    """DOMAIN, Metering 7: also when the older one, which came late and was held for that, is forgotten after it."""
    partition.process(chat(HOUR, user="a", id="first"), chat(0, user="a", id="e"))
    partition.let_go(2 * HOUR)
    partition.process(chat(DAY + 1, user="b", id="newest"))
    partition.let_go(DAY + 2)
    assert partition.process(chat(DAY, user="b", id="e")).outcomes == {"conversation": 1}
    partition.let_go(DAY + 3)
    partition.process(chat(DAY + 4, user="a", id="other"))
    partition.let_go(DAY + 5)
    for at in (DAY + 6, DAY + HOUR + 16 * MINUTE, DAY + HOUR + 17 * MINUTE):  # The older is forgotten by the second.
        partition.let_go(at)
        assert partition.process(chat(DAY, user="c", id="e")).outcomes == {"conflict": 1}


def test_a_forgotten_bucket_leaves_the_store_with_its_ids(partition: Partition) -> None:
    """But not with one that a later event has taken, whose bucket is in the store too."""
    partition.process(chat(0, user="a", id="e"), chat(1, user="a", id="other"))
    partition.let_go(MINUTE)
    partition.process(chat(DAY + 3, user="b", id="newest"), chat(DAY + 2, user="b", id="e"), chat(DAY + 4, user="b"))
    partition.let_go(DAY + MINUTE)
    ids = {key: value for key, value in partition.store._db.items() if key[:1] == b"s"}
    assert {value[:8] for value in ids.values()} == {number.to_bytes(8) for number in (2, 3)}, (
        "of the first two buckets nothing is left"
    )
    assert partition.process(chat(DAY + 2, user="b", id="e")).outcomes == {"duplicate": 1}


def test_a_sweep_writes_an_interaction_that_returns_during_it(partition: Partition) -> None:
    """Though nothing has changed: a sweep that has been through memory does not see it there any more."""
    partition.process(chat(0, user="a", id="1"), chat(0, user="b", id="2"))
    partition.let_go(MINUTE)
    block, is_over = partition.engine.sweep(1_000)
    assert (held(block), is_over) == (set(), False)
    assert partition.process(chat(0, user="a", id="1")).outcomes == {"duplicate": 1}
    written = partition.saved()
    block, is_over = partition.engine.sweep(1_000)
    assert is_over
    assert len({key for key in written if not is_bucket_key(key)} | held(block)) == 2


def test_the_directory_is_empty_once_nobody_needs_it(tmp_path: Path) -> None:
    """A partition that has moved away leaves nothing."""
    partition = Partition(tmp_path)
    partition.process(chat(0))
    partition.let_go(MINUTE)
    assert list(tmp_path.iterdir())
    del partition
    assert not list(tmp_path.iterdir())


def test_repeated_spilling_does_not_grow_memory(tmp_path: Path) -> None:
    """Timers of those that have left are not kept until their time comes, which is a day later."""
    partition = Partition(tmp_path)
    held: list[int] = []
    for turn in range(400):
        partition.process(*(chat(turn * 1_000 + n, user=f"u-{n}", id=f"{n}") for n in range(100)))
        partition.saved()
        held.append(partition.engine.held_bytes)  # type: ignore[attr-defined]
    assert held[-1] == held[100]


def under(directory: Path, horizon_ms: int) -> Engine:
    """An engine that lets go of all it may, of a deployment with this late horizon."""
    return spilling(directory)(Policy(horizon_ms=horizon_ms), 0)


def restored(before: Partition, engine: Engine) -> Partition:
    """Another worker that goes on from all that `before` has, one entry at a time."""
    after = Partition.__new__(Partition)
    after.engine, after.store, after._offset = engine, engine.store, before._offset  # type: ignore[attr-defined]
    while True:
        block, is_over = before.engine.sweep(1)
        engine.load(1, block)
        if is_over:
            break
    engine.finish(-1, before.engine.watermark_ms, before.engine.closed_messages)
    return after


def test_a_horizon_may_have_been_longer(tmp_path: Path) -> None:
    """What is due later than anything could be now is due then."""
    before = Partition(tmp_path, horizon_ms=1_000 * DAY)
    before.process(chat(0, user="a", id="1"))
    before.let_go(HOUR)
    after = restored(before, under(tmp_path, HOUR))
    assert after.engine.live == 1
    assert after.process(chat(HOUR, user="b", id="2")).outcomes == {"conversation": 1}
    after.process(encode_tick(T0 + 1_001 * DAY))
    assert after.engine.live == 0


@pytest.mark.parametrize("first", ["a", "b"])
def test_a_horizon_may_have_been_shorter(tmp_path: Path, first: str) -> None:
    """An id that came back under it is in reach twice now: the newer event has it, in any order of restoring."""
    before = Partition(tmp_path, horizon_ms=HOUR)
    second = "b" if first == "a" else "a"
    before.process(chat(10, user=first, id="late"), chat(0, user=first, id="e"))
    before.process(chat(HOUR + 5, user=second, id="newest"), chat(HOUR + 5, user=second, id="e"))
    before.let_go(HOUR + 6)
    after = restored(before, under(tmp_path, DAY))
    for at in (2 * HOUR, DAY + 11, DAY + HOUR):  # With the second the older event is forgotten.
        after.let_go(at)
        assert after.process(chat(HOUR + 5, user=second, id="e")).outcomes == {"duplicate": 1}
        after.let_go(at + 1)
        assert after.process(chat(HOUR + 5, user="c", id="e")).outcomes == {"conflict": 1}
