"""Checkpoints: whole or not at all, after a crash at any record, and after any compaction."""

from contextlib import suppress
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.stage import checkpoints as module
from meter.stage.blocks import unpack
from meter.stage.checkpoints import SupersededError
from tests.properties.memory_state_topic import (
    COMPACTION,
    HISTORY,
    A,
    B,
    C,
    Changes,
    CrashError,
    MemoryStateTopic,
    Process,
    Table,
    done,
    lost,
    restored,
    truth,
    written,
)

SWEEPS = [0, 1024]
"""A sweep takes a few checkpoints, or one."""


@pytest.fixture(autouse=True, params=SWEEPS, ids=["long sweeps", "short sweeps"], scope="module")
def sweep(request: pytest.FixtureRequest) -> object:
    with patch.object(module, "SWEEP_BYTES", request.param):
        yield


@pytest.fixture(autouse=True, params=[False, True], ids=["loads at the end", "reads again"], scope="module")
def spills(request: pytest.FixtureRequest) -> object:
    """Whether the state may be larger than memory."""
    with patch.object(Table, "spills", request.param):
        yield


def test_nothing_is_restored_where_nothing_was_written() -> None:
    """And so a restore begins at the beginning."""
    assert restored(MemoryStateTopic()) == (-1, {})


def test_a_checkpoint_without_its_mark_is_invisible() -> None:
    """All of it: also the keys that it says have ended."""
    log = written(HISTORY[:2])
    log.allowed = 3
    with pytest.raises(CrashError):
        Process(log).save(8, {B: None, C: b"c8", A: b"a8"})
    assert restored(log) == (7, {A: b"a7", B: b"b3"})


@pytest.mark.parametrize("how", COMPACTION)
def test_after_any_record_the_last_complete_checkpoint_is_there(how: str) -> None:
    """A crash after each single record, then compaction of what is there: the state is the one of the newest mark."""
    whole = written(HISTORY).records
    for length in range(len(whole) + 1):
        log = MemoryStateTopic(whole[:length])
        last = max(log.marks(), default=-1)
        log.compact(how)
        assert restored(log) == (last, truth(last))


@pytest.mark.parametrize("how", COMPACTION)
def test_a_crash_in_what_follows_a_crash_changes_nothing_either(how: str) -> None:
    """Two crashes, each after any record, the second while the first is being made up for; compaction after each."""
    total = len(written(HISTORY).records)
    for first in range(total + 1):
        for second in range(8):
            log = MemoryStateTopic()
            for allowed in (first, second):
                resume(log, allowed)
                log.compact(how)
            resume(log, None)
            assert restored(log) == (30, truth(30))


def resume(log: MemoryStateTopic, allowed: int | None) -> None:
    """Start a process on the log; it checks what it finds, goes on from there, and crashes when its time has come."""
    log.allowed = None
    process = Process(log)
    begin = process.restored.offset
    assert process.table.now == truth(begin)
    log.allowed = allowed
    with suppress(CrashError):
        for offset, changes in HISTORY:
            if offset > begin:
                process.save(offset, changes)


steps = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from((A, B, C)), st.booleans(), max_size=3),
        st.none() | st.integers(0, 8),
        st.sampled_from(COMPACTION),
    ),
    max_size=12,
)


@given(steps)
def test_any_history_of_checkpoints_and_crashes(taken: list[tuple[dict[bytes, bool], int | None, str]]) -> None:
    """What is restored is what was marked last, however often processes crashed and compaction ran. What a crash kept
    from being marked comes again with the next checkpoint, as a replay brings it."""
    log, marked, unmarked = MemoryStateTopic(), Table(), Changes()
    process = Process(log)
    for offset, (wanted, allowed, how) in enumerate(taken):
        unmarked |= {key: f"{offset}".encode() if keep else None for key, keep in wanted.items()}
        log.allowed = allowed
        try:
            process.save(offset, unmarked)
            crashed = False
        except CrashError:
            crashed = True
        if offset in log.marks():
            marked.change(offset, unmarked)
            unmarked = {}
        if crashed:
            log.compact(how)
            log.allowed = None
            process = Process(log)
            assert process.table.now == marked.now


def test_a_second_checkpoint_as_of_one_offset_is_not_written() -> None:
    """A sweep that began at the first and ended with the second would replace both, and nothing would be left."""
    log = written(HISTORY[:1])
    process = Process(log)
    with patch.object(module, "SWEEP_BYTES", 1024):
        process.save(20, {A: b"a20"})
        with pytest.raises(AssertionError, match="replace the checkpoint itself"):
            process.save(20, {})
    assert restored(log)[0] == 20


def test_a_superseded_workers_older_entries_do_not_win() -> None:
    """It was paused, and writes a whole checkpoint after its successor's newer ones: state and mark stay the newer."""
    log = written(HISTORY[:1])
    zombie, successor = Process(log), Process(log)
    successor.save(20, {A: b"a20", B: b"b20"})
    successor.save(30, {A: b"a30", C: b"c25"})
    zombie.save(25, {A: b"a25", B: b"b20", C: b"c25"})
    assert restored(log) == (30, {A: b"a30", B: b"b20", C: b"c25"})


def test_a_superseded_workers_entries_that_are_not_marked_do_not_count() -> None:
    """It had come further than its successor: what it saw beyond the newest mark has not happened yet."""
    log = written(HISTORY[:1])
    zombie, successor = Process(log), Process(log)
    successor.save(10, {A: b"a10"})
    log.allowed = 2
    with pytest.raises(CrashError):
        zombie.save(15, {A: b"a15", B: None})
    assert restored(log) == (10, {A: b"a10", B: b"b3"})


@pytest.mark.parametrize("how", COMPACTION)
def test_a_mark_that_comes_late_still_finds_its_state(how: str) -> None:
    """A superseded owner had written all except the mark, further on than its successor, which has cleared up since:
    what that mark needs is still there."""
    log = written(HISTORY[:1])

    async def paused() -> bool:
        successor = Process(log)
        for offset in range(5, 11):
            successor.save(offset, {A: b"a10"})
        return True

    Process(log).save(15, {A: b"a15", C: b"c15"}, paused)
    log.compact(how)
    assert restored(log) == (15, {A: b"a15", B: b"b3", C: b"c15"})


@pytest.mark.parametrize("how", COMPACTION)
def test_a_mark_that_came_late_is_not_removed_for_an_earlier_one(how: str) -> None:
    """Its successor clears up the one that it found, and knows of no other of the same owner."""
    log = MemoryStateTopic()
    zombie = Process(log)
    zombie.save(3, {A: b"a3", B: b"b3"})
    successor = Process(log)
    zombie.save(15, {A: b"a15", B: b"b15"})
    successor.save(10, {A: b"a10"})
    log.compact(how)
    assert restored(log) == (15, {A: b"a15", B: b"b15"})


def test_a_worker_that_lost_the_partition_marks_nothing() -> None:
    """A checkpoint counts only of an owner; what was written of it is passed over."""
    log = written(HISTORY[:1])
    with pytest.raises(SupersededError):
        Process(log).save(10, {A: b"a10"}, lost)
    assert restored(log) == (3, {A: b"a3", B: b"b3"})


@pytest.mark.parametrize("how", COMPACTION)
def test_what_ended_long_ago_stays_ended(how: str) -> None:
    """A superseded worker's word of how a key stood comes when nothing says any more that the key has ended."""
    log = written(HISTORY[:1])
    zombie, successor = Process(log), Process(log)
    successor.save(20, {A: None})
    with pytest.raises(SupersededError):
        zombie.save(15, {A: b"a15"}, lost)
    for offset in range(21, 30):
        successor.save(offset, {C: b"%d" % offset})
    log.compact(how)
    assert not any(entry == (A, None) for block in log.live() for entry in unpack(block))
    assert restored(log) == (29, {B: b"b3", C: b"29"})


def test_only_the_last_owner_finds_its_checkpoint_the_newest() -> None:
    """As long as there is only its own in the log; not when another has made the partition its own."""
    log = written(HISTORY[:1])
    first = Process(log)
    assert done(first.checkpoints.are_the_newest())
    first.save(10, {A: b"a10"})
    assert done(first.checkpoints.are_the_newest())
    second = Process(log)
    assert not done(first.checkpoints.are_the_newest())
    second.save(11, {A: b"a11"})
    log.compact("no tombstones either")
    assert not done(first.checkpoints.are_the_newest())


@pytest.mark.parametrize("changes_hands", [False, True])
def test_the_log_is_at_most_a_few_times_the_state(changes_hands: bool) -> None:
    """What is written again is removed once all of the state has had its turn; what ended is removed with it."""
    log = MemoryStateTopic()
    process = Process(log)
    process.save(0, {b"key %d" % number: b"x" * 90 for number in range(100)})
    most = 0
    for offset in range(1, 300):
        if changes_hands and offset % 60 == 0:
            process = Process(log)
        process.save(offset, {b"key %d" % (offset % 100): b"y" * 90, b"brief %d" % offset: b"", b"brief": None})
        process.table.change(offset, {b"brief %d" % offset: None})
        most = max(most, sum(map(len, log.live())))
    assert 10_000 < most < 50_000
    assert len(log.live()) < 900


def test_a_restore_after_a_restore_finds_the_same() -> None:
    """Restoring changes nothing that counts, and who restored goes on writing."""
    log = written(HISTORY)
    assert restored(log) == restored(log) == (30, truth(30))
    Process(log).save(40, {C: b"c40"})
    log.compact("no tombstones either")
    assert restored(log) == (40, {C: b"c40"})
