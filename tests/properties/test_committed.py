"""Of a log with transactions, in batches of any codec and in fetches cut anywhere, what is committed is read, once."""

from collections.abc import Sequence
from typing import NamedTuple

from aiokafka import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from meter.kafka.fetched import records_from
from meter.kafka.records import Record
from tests.kafka_batches import marker, one_batch
from tests.kafka_client import read_by_client
from tests.properties.memory_log import stored

PRODUCERS = 2


class Step(NamedTuple):
    """A producer writes a batch of `size` records, or ends its transaction. Producer 0 has no transactions."""

    producer: int
    codec: int
    size: int
    end: str


steps = st.lists(
    st.builds(
        Step,
        st.integers(0, PRODUCERS),
        st.sampled_from((0, 0, 0, 1, 2, 3, 4)),
        st.integers(1, 4),
        st.sampled_from(("", "", "", "commit", "abort", "abort")),
    ),
    min_size=4,
    max_size=25,
)


class Log(NamedTuple):
    """What a broker has: batches with their first offsets, and the aborted transactions from offset to marker."""

    batches: list[tuple[int, bytes]]
    aborted: list[tuple[int, int, int]]
    committed: list[int]
    end: int

    def fetch(self, start: int, most_bytes: int) -> tuple[bytes, list[tuple[int, int]]]:
        """Whole batches from the one that holds `start` on, and a piece of another; and the broker's list."""
        after = [base for base, _ in self.batches[1:]] + [self.end]
        wanted = b"".join(data for (_, data), next_base in zip(self.batches, after, strict=True) if next_base > start)
        first = next(len(data) for (_, data), next_base in zip(self.batches, after, strict=True) if next_base > start)
        named = [(producer, began) for producer, began, ended in self.aborted if ended >= start]
        return wanted[: max(first, most_bytes)], named


def log_of(drawn: Sequence[Step]) -> Log:
    """Transactions that are still open at the end are committed there."""
    batches: list[tuple[int, bytes]] = []
    aborted: list[tuple[int, int, int]] = []
    committed: list[int] = []
    opened: dict[int, list[int]] = {}
    at = 0
    ends = [Step(producer, 0, 0, "commit") for producer in range(1, PRODUCERS + 1)]
    for step in [*drawn, *ends]:
        if step.producer and step.end:
            written = opened.pop(step.producer, [])
            batches.append((at, marker(at, step.producer, aborts=step.end == "abort")))
            if step.end == "abort" and written:
                aborted.append((step.producer, written[0], at))
            elif step.end == "commit":
                committed += written
            at += 1
        else:
            batch = records(at, step.size)
            batches.append((at, one_batch(batch, compression=step.codec, producer=step.producer or None)))
            written = [record.offset for record in batch]
            if step.producer:
                opened[step.producer] = opened.get(step.producer, []) + written
            else:
                committed += written
            at += step.size
    return Log(batches, aborted, sorted(committed), at)


def records(at: int, count: int) -> list[ConsumerRecord]:
    """Records from an offset on, which become shorter when they are compressed."""
    return [stored("t", 0, at + number, Record(b"key", b"value " * 9), 1_000 + at) for number in range(count)]


@given(steps, st.lists(st.integers(1, 4_000), min_size=1, max_size=5))
def test_committed_records_are_read_once(drawn: list[Step], sizes: list[int]) -> None:
    """Each fetch begins where the one before ended, so no hole is ever seen, and the last one reaches the end."""
    log = log_of(drawn)
    found: list[int] = []
    at, fetches = 0, 0
    while at < log.end:
        data, aborted = log.fetch(at, sizes[fetches % len(sizes)])
        read, next_offset = records_from(data, at, aborted)
        assert next_offset > at
        found += [record.offset for record in read]
        at, fetches = next_offset, fetches + 1
    assert (found, at) == (log.committed, log.end)


@given(steps, st.integers(0, 60), st.integers(0, 3_000))
def test_transactions_are_read_as_the_client_reads_them(drawn: list[Step], start: int, cut: int) -> None:
    """Records with all they hold, and the next offset to fetch."""
    log = log_of(drawn)
    start = min(start, log.end - 1)
    data, aborted = log.fetch(start, cut)
    expected, next_offset = read_by_client(data, start, aborted)
    found, reached = records_from(data, start, aborted)
    assert [(each.offset, each.timestamp, each.key, each.value) for each in found] == [
        (each.offset, each.timestamp, each.key, each.value) for each in expected
    ]
    assert reached == next_offset
