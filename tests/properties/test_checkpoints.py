"""Checkpoints: whole or not at all, whatever record a crash comes after and whatever compaction has taken away."""

from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import pytest
from aiokafka import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from meter.checkpoints import Checkpoints, Restored, SupersededError
from meter.log import Record
from schemas.topics import CONVERSATION_STATE
from tests.properties.pipeline import stored

TOPIC = CONVERSATION_STATE.name
Changes = dict[bytes, bytes | None]
T = TypeVar("T")


class CrashError(Exception):
    """The process is gone."""


class StateLog:
    """One partition of a state topic in memory; the process that writes it ends after `allowed` more records."""

    def __init__(self) -> None:
        self.records: list[ConsumerRecord] = []
        self.allowed: int | None = None

    async def write_one(self, topic: str, partition: int, record: Record) -> int:
        await self.write(topic, partition, [record])
        return int(self.records[-1].offset)

    async def read_up_to(self, topic: str, partition: int, offset: int) -> AsyncIterator[Sequence[ConsumerRecord]]:  # noqa: ARG002 - the shape of `Topics`
        """In small fetches."""
        upto = [record for record in self.records if record.offset <= offset]
        for at in range(0, len(upto), 5):
            yield upto[at : at + 5]

    async def write(self, topic: str, partition: int, records: list[Record]) -> None:
        for record in records:
            if self.allowed == 0:
                raise CrashError
            if self.allowed is not None:
                self.allowed -= 1
            offset = self.records[-1].offset + 1 if self.records else 0
            self.records.append(stored(topic, partition, offset, record))

    def compact(self, *, tombstones: bool) -> None:
        """Keep the last record of each Kafka key, as a broker does in the end; of tombstones, after a while, none."""
        last = {record.key: record for record in self.records}
        kept = sorted(last.values(), key=lambda record: int(record.offset))
        self.records = [record for record in kept if tombstones or record.value is not None]

    def live(self) -> dict[bytes, bytes]:
        """What compaction would leave of the state, in the end."""
        last = {record.key: record.value for record in self.records}
        return {key: value for key, value in last.items() if value is not None and key[:1] == b"s"}


def closed(log: StateLog) -> Checkpoints:
    """The checkpoints of a process that has not looked yet."""
    return Checkpoints(log, CONVERSATION_STATE, 0)  # type: ignore[arg-type]


def opened(log: StateLog) -> Checkpoints:
    """The checkpoints of a process that has just started, and has them for its own."""
    allowed, log.allowed = log.allowed, None
    checkpoints = closed(log)
    done(checkpoints.restore())
    log.allowed = allowed
    return checkpoints


async def held() -> bool:
    """Nobody has taken the partition."""
    return True


async def lost() -> bool:
    """Somebody has."""
    return False


def done(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run what never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("this was not to wait for anything")


def restored(log: StateLog) -> Restored:
    """What a new process finds."""
    log.allowed = None
    return done(closed(log).restore())


A, B, C = b"a", b"b", b"c"
HISTORY: list[tuple[int, Changes]] = [
    (3, {A: b"a3", B: b"b3"}),
    (7, {A: b"a7"}),
    (8, {B: None, C: b"c8"}),
    (12, {A: b"a12", B: b"b12"}),
    (13, {A: None, B: None}),
    (20, {C: b"c20", A: b"a20"}),
    (21, {}),
    (30, {A: None, C: b"c30"}),
]
"""(offset, what changed by then); each key is written more than twice, ends and comes back."""


def truth(history: list[tuple[int, Changes]], last: int) -> dict[bytes, bytes]:
    """The state as of the mark `last`."""
    state: dict[bytes, bytes] = {}
    for offset, changes in history:
        for key, value in changes.items() if offset <= last else ():
            state.pop(key, None)
            if value is not None:
                state[key] = value
    return state


def mark(offset: int) -> bytes:
    return f"mark {offset}".encode()


def write_all(log: StateLog, history: list[tuple[int, Changes]]) -> None:
    checkpoints = opened(log)
    for offset, changes in history:
        done(checkpoints.write(offset, mark(offset), changes.items(), held))


def written(history: list[tuple[int, Changes]]) -> StateLog:
    log = StateLog()
    write_all(log, history)
    return log


def test_nothing_is_restored_where_nothing_was_written() -> None:
    """And so whoever asks begins at the beginning."""
    assert restored(StateLog()) == Restored(-1, None, {})


def test_a_checkpoint_without_its_mark_is_invisible() -> None:
    """All of it: also the keys that it says have ended."""
    log = written(HISTORY[:2])
    log.allowed = 3
    with pytest.raises(CrashError):
        done(opened(log).write(8, mark(8), [(B, None), (C, b"c8"), (A, b"a8")], held))
    assert restored(log) == Restored(7, mark(7), {A: b"a7", B: b"b3"})


COMPACTION = ["no", "last of each key", "no tombstones either"]


def compacted(log: StateLog, how: str) -> None:
    if how != "no":
        log.compact(tombstones=how == "last of each key")


@pytest.mark.parametrize("how", COMPACTION)
def test_after_any_record_the_last_complete_checkpoint_is_there(how: str) -> None:
    """A crash after each single record, then compaction of what is there: the state is the one of the newest mark."""
    whole = written(HISTORY).records
    for length in range(len(whole) + 1):
        log = StateLog()
        log.records = whole[:length]
        marks = [int(record.value.split()[1]) for record in log.records if record.key[:1] == b"m" and record.value]
        compacted(log, how)
        found = restored(log)
        last = max(marks, default=-1)
        assert (found.offset, found.mark) == (last, mark(last) if marks else None)
        assert found.records == truth(HISTORY, last)


@pytest.mark.parametrize("how", COMPACTION)
def test_a_crash_in_what_follows_a_crash_changes_nothing_either(how: str) -> None:
    """Two crashes, each after any record, the second while the first is being made up for; compaction after each."""
    total = len(written(HISTORY).records)
    for first in range(total + 1):
        for second in range(8):
            log = StateLog()
            for allowed in (first, second):
                resume(log, allowed)
                compacted(log, how)
            resume(log, None)
            assert restored(log).records == truth(HISTORY, HISTORY[-1][0])


def resume(log: StateLog, allowed: int | None) -> None:
    """Start a process on the log; it checks what it finds, goes on from there, and crashes when its time has come."""
    checkpoints = closed(log)
    log.allowed = None
    found = done(checkpoints.restore())
    assert found.records == truth(HISTORY, found.offset)
    log.allowed = allowed
    try:
        for offset, changes in HISTORY:
            if offset > found.offset:
                done(checkpoints.write(offset, mark(offset), changes.items(), held))
    except CrashError:
        pass


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
    log, state, unmarked = StateLog(), dict[bytes, bytes](), Changes()
    checkpoints = opened(log)
    for offset, (wanted, allowed, how) in enumerate(taken):
        unmarked |= {key: f"{offset}".encode() if keep else None for key, keep in wanted.items()}
        log.allowed = allowed
        try:
            done(checkpoints.write(offset, mark(offset), unmarked.items(), held))
            crashed = False
        except CrashError:
            crashed = True
        if any(record.value == mark(offset) for record in log.records):
            state = {key: value for key, value in (state | unmarked).items() if value is not None}
            unmarked = {}
        if crashed:
            compacted(log, how)
            log.allowed = None
            checkpoints = closed(log)
            assert done(checkpoints.restore()).records == state


def test_a_superseded_workers_older_records_do_not_win() -> None:
    """It was paused, and writes a whole checkpoint after its successor's newer ones: state and mark stay the newer."""
    log = written(HISTORY[:1])
    zombie, successor = opened(log), opened(log)
    done(successor.write(20, mark(20), [(A, b"a20"), (B, b"b20")], held))
    done(successor.write(30, mark(30), [(A, b"a30")], held))
    done(zombie.write(25, mark(25), [(A, b"a25"), (B, b"b20"), (C, b"c25")], held))
    assert restored(log) == Restored(30, mark(30), {A: b"a30", B: b"b20", C: b"c25"})


def test_a_superseded_workers_record_that_is_not_marked_does_not_count() -> None:
    """It had come further than its successor: what it saw beyond the newest mark has not happened yet."""
    log = written(HISTORY[:1])
    zombie, successor = opened(log), opened(log)
    done(successor.write(10, mark(10), [(A, b"a10")], held))
    log.allowed = 2
    with pytest.raises(CrashError):
        done(zombie.write(15, mark(15), [(A, b"a15"), (B, None)], held))
    assert restored(log) == Restored(10, mark(10), {A: b"a10", B: b"b3"})


@pytest.mark.parametrize("how", COMPACTION)
def test_a_superseded_workers_older_record_is_not_what_compaction_leaves(how: str) -> None:
    """It comes after the newer one, whose key is never written again; compaction keeps the last of each place."""
    log = written(HISTORY[:2])
    zombie, successor = opened(log), opened(log)
    done(successor.write(20, mark(20), [(A, b"a20"), (B, b"b20")], held))
    with pytest.raises(SupersededError):
        done(zombie.write(15, mark(15), [(A, b"a15"), (B, b"b15")], lost))
    compacted(log, how)
    assert restored(log) == Restored(20, mark(20), {A: b"a20", B: b"b20"})


@pytest.mark.parametrize("how", COMPACTION)
def test_a_mark_that_comes_late_still_finds_its_state(how: str) -> None:
    """Whoever was superseded had all but the mark written, further on than its successor, which has cleared up since:
    what that mark needs is still there."""
    log = written(HISTORY[:1])
    zombie = opened(log)
    late: list[Checkpoints] = []

    async def paused() -> bool:
        successor = opened(log)
        await successor.write(10, mark(10), [(A, b"a10")], held)
        late.append(successor)
        return True

    done(zombie.write(15, mark(15), [(A, b"a15"), (B, None)], paused))
    compacted(log, how)
    assert restored(log) == Restored(15, mark(15), {A: b"a15"})
    assert late


def test_who_lost_the_partition_marks_nothing() -> None:
    """A checkpoint counts only of an owner; what was written of it is passed over."""
    log = written(HISTORY[:1])
    with pytest.raises(SupersededError):
        done(opened(log).write(10, mark(10), [(A, b"a10")], lost))
    assert restored(log) == Restored(3, mark(3), {A: b"a3", B: b"b3"})


def test_the_records_of_earlier_owners_go() -> None:
    """Of a key that is written again, however often the partition changed hands: two places and no more."""
    log = written([])
    for offset in range(1, 9):
        done(opened(log).write(offset, mark(offset), [(A, str(offset).encode())], held))
    assert list(log.live().values()) == [b"8"]


def test_an_ended_key_stays_ended() -> None:
    """Also when a superseded worker says after its end how it stood before."""
    log = written(HISTORY[:1])
    zombie, successor = opened(log), opened(log)
    done(successor.write(20, mark(20), [(A, None)], held))
    done(zombie.write(15, mark(15), [(A, b"a15")], held))
    assert restored(log) == Restored(20, mark(20), {B: b"b3"})


def test_the_records_of_an_ended_key_are_deleted_in_the_end() -> None:
    """State older than the horizon costs nothing: after compaction there is no trace of it, in either slot."""
    log = written([*HISTORY, (31, {B: b"b31"}), (32, {B: None, C: None})])
    assert log.live() == {}


@pytest.mark.parametrize("crash_after", range(4))
def test_an_end_that_a_crash_cut_short_is_finished_by_the_next_process(crash_after: int) -> None:
    """The crash comes between the mark and the removal of an ended key's records."""
    log = written([(1, {A: b"a1"}), (2, {A: b"a2"})])
    log.allowed = 2 + crash_after
    with suppress(CrashError):
        done(opened(log).write(3, mark(3), [(A, None)], held))
    assert restored(log).records == {}
    assert log.live() == {}


def test_a_restore_after_a_restore_finds_the_same() -> None:
    """Restoring changes nothing that counts, and who restored goes on writing."""
    log = written(HISTORY)
    assert restored(log) == restored(log) == Restored(30, mark(30), truth(HISTORY, 30))
    checkpoints = opened(log)
    done(checkpoints.write(40, mark(40), [(C, b"c40")], held))
    log.compact(tombstones=False)
    assert restored(log) == Restored(40, mark(40), {C: b"c40"})
