"""The record at which workers end is left out, the same one for ever, and no healthy record is."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.kafka.fetched import Fetched
from meter.kafka.records import Delivery, Record
from meter.stage.careful import PARTS, SINGLES, Careful, Suspects
from meter.stage.evidence import DEATHS, DEATHS_SAVING, Attempt, condemned
from meter.stage.fold import Output
from schemas.topics import CHAT_EVENTS, LEDGER
from tests.properties.memory_log import stored
from tests.properties.memory_state_topic import A, CrashError, MemoryStateTopic, Process, held

RECORDS = 60


class PoisonError(Exception):
    """What the fold raises."""


@dataclass
class Fold:
    """It notes the offsets that it has processed, and dies of one: with an exception, or at once."""

    poison: int
    is_silent: bool
    processed: list[int] = field(default_factory=list)
    left_out: dict[int, str] = field(default_factory=dict)

    def process(self, records: Sequence[Fetched]) -> Iterator[Output]:
        if any(record.offset == self.poison for record in records):
            raise CrashError if self.is_silent else PoisonError
        self.processed += [record.offset for record in records]
        yield Output(LEDGER, [])

    def leave_out(self, record: Fetched, reason: str) -> Iterable[Output]:
        self.left_out[record.offset] = reason
        return [Output(LEDGER, [])]


class NoTopics:
    """Where outputs go that no test reads."""

    async def append_keyed(self, topic: str, records: Iterable[Record]) -> list[Delivery]:  # noqa: ARG002
        return []


async def run_owner(log: MemoryStateTopic, fold: Fold, batch: int, allowed: int | None) -> dict[int, str]:
    """What a stage does from one restore to the end of the records, with a checkpoint at every 25th or careful one.

    Returns what it leaves out. It ends after `allowed` more records of state.
    """
    process = Process(log)
    quarantine = process.checkpoints.quarantine
    quarantine.read_until(RECORDS)
    log.allowed = allowed
    next_offset = process.restored.offset + 1
    while next_offset < RECORDS:
        last = min(next_offset + batch, RECORDS) - 1
        records = [stored(CHAT_EVENTS.name, 0, at, Record(None, b"{}")) for at in range(next_offset, last + 1)]
        for part in quarantine.slices(records, last):
            is_careful = quarantine.careful is not None
            try:
                await quarantine.process(fold, part, NoTopics())  # type: ignore[arg-type]
            except PoisonError as error:
                await quarantine.failed(part.first_offset, part.last_offset, error)
                raise
            next_offset = part.last_offset + 1
            if is_careful or next_offset % 25 == 0 or next_offset == RECORDS:
                process.table.change(next_offset - 1, {A: str(next_offset).encode()})
                await process.checkpoints.write(next_offset - 1, process.table, held)
            quarantine.succeed(next_offset)
    return dict(quarantine.left_out)


def lives(log: MemoryStateTopic, poison: int, batch: int, kills: list[int], *, is_silent: bool) -> tuple[int, Fold]:
    """Let owners follow one another until one reaches the end. Returns how many it took, and the last one's fold."""
    for number in range(1, 60):
        fold = Fold(poison, is_silent)
        with suppress(CrashError, PoisonError):
            asyncio.run(run_owner(log, fold, batch, kills[number - 1] if number <= len(kills) else None))
            return number, fold
        log.allowed = None
    raise AssertionError("the partition stands still")


@given(
    st.integers(0, RECORDS - 1), st.integers(1, RECORDS), st.lists(st.integers(0, 30), max_size=2), st.booleans(),
    st.sampled_from(("no", "last of each key", "no tombstones either")),
)  # fmt: skip
def test_the_poison_alone_is_left_out(poison: int, batch: int, kills: list[int], is_silent: bool, how: str) -> None:
    """After any two kills at any moments, for any batches; and a replay from the state leaves out the same record."""
    log = MemoryStateTopic()
    lives(log, poison, batch, kills, is_silent=is_silent)
    log.compact(how)
    left_out = Process(log).checkpoints.quarantine.left_out
    assert list(left_out) == [poison]
    log.records = [record for record in log.records if record.key[:1] in b"aqs"]
    ends, fold = lives(log, poison, batch, [], is_silent=is_silent)
    assert (ends, fold.left_out) == (1, left_out)
    assert fold.processed == [offset for offset in range(RECORDS) if offset != poison]


@pytest.mark.parametrize("is_silent", [False, True])
def test_how_many_ends_it_takes(is_silent: bool) -> None:
    """An exception names its batch at once; an abort only at the third start, from which on attempts are written."""
    ends, _ = lives(MemoryStateTopic(), 7, 1, [], is_silent=is_silent)
    assert ends == DEATHS + 1 + (2 if is_silent else 0)


def test_kills_at_other_records_do_not_add_up() -> None:
    """Each end counts for the record at which it happened."""
    elsewhere = [Attempt(0, offset, offset) for offset in range(10)]
    assert condemned(elsewhere) == {}
    assert list(condemned([*elsewhere, Attempt(0, 3, 3), Attempt(0, 3, 3)])) == [3]


def test_a_slice_names_no_record() -> None:
    """Any of its records may be the one."""
    assert condemned([Attempt(0, 3, 4, reason="E")] * 50) == {}


@pytest.mark.parametrize(
    ("attempt", "enough"),
    [
        (Attempt(0, 3, 3), DEATHS),
        (Attempt(0, 3, 3, is_saving=True, reason="E: e"), DEATHS),
        (Attempt(0, 3, 3, is_saving=True), DEATHS_SAVING),
    ],
)
def test_a_kill_while_results_are_saved_weighs_less(attempt: Attempt, enough: int) -> None:
    """It takes round trips to the broker, in which a kill at a random moment falls more often."""
    assert condemned([attempt] * (enough - 1)) == {}
    assert list(condemned([attempt] * enough)) == [3]


def test_careful_processing_gets_faster() -> None:
    """One at a time at first, then twice as many after each success: a million records take 51 checkpoints."""
    careful, offset, slices = Careful([]), 0, 0
    while offset < 1_000_000:
        offset = careful.last_of_slice(offset) + 1
        careful.succeed()
        slices += 1
    assert slices == SINGLES + 19


def test_suspects_are_processed_in_parts() -> None:
    """And never together with what is before them."""
    careful = Careful([Suspects(1000, 1000 + PARTS * 10 - 1)])
    for _ in range(60):
        careful.succeed()
    assert careful.last_of_slice(0) == 999
    assert careful.last_of_slice(1000) == 1009
    assert careful.last_of_slice(1000 + PARTS * 10) > 10**6


@pytest.mark.parametrize("error", [OSError("disk"), TimeoutError()])
def test_what_the_world_does_is_no_records_fault(error: Exception) -> None:
    """A broker or a disk that fails ends the worker again and again at one record; it takes its attempts back."""
    log = MemoryStateTopic()

    async def fail() -> None:
        process = Process(log)
        quarantine: Any = process.checkpoints.quarantine
        quarantine.careful = Careful([])
        await quarantine._attempt(Attempt(0, 0, 0))
        await quarantine.failed(0, 0, error)

    for _ in range(2 * DEATHS):
        asyncio.run(fail())
    assert Process(log).checkpoints.quarantine.left_out == {}
