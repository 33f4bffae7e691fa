"""What a checkpoint costs that holds one more message of an interaction with many: as much as with few."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from meter.core.policy import Policy
from meter.kafka.records import Record
from meter.sessionizer.engine import Engine, MakeEngine
from meter.stage.blocks import Entry, unpack
from schemas.events import encode_tick
from tests.oracle.build import NOW, T0, chat
from tests.properties.memory_log import stored
from tests.sessionizer_engines import core, either, kernel, needs_kernel, spilling

MESSAGES = 4_000
BUCKET_BYTES = 256 * (11 + 3 + 2) + 64
"""The largest bucket: 256 ids, each with its tag and the time since the one before it; and its key and first time."""
HEAD_BYTES = 128
"""An interaction with one conversation, its key and its user."""


def speak(engine: Engine, first: int, count: int) -> list[Entry]:
    """Let one user send messages, 100 ms apart, and return what the next checkpoint writes."""
    values = [chat(100 * number, user="hot", id=str(number)) for number in range(first, first + count)]
    engine.process([stored("chat-events", 0, first + n, Record(None, value), NOW) for n, value in enumerate(values)])
    return [entry for block in engine.changed() for entry in unpack(block)]


def one_more(engine: Engine, messages: int) -> Iterator[int]:
    """The bytes of each of 300 checkpoints with one message more. So a bucket is full at least once."""
    for number in range(messages, messages + 300):
        yield sum(len(key) + len(value or b"") for key, value in speak(engine, number, 1))


@either
def test_one_message_more_costs_the_same_at_any_size(make_engine: MakeEngine) -> None:
    """A checkpoint writes the interaction without its ids, and the ids in a bucket or two."""
    engine = make_engine(Policy(), 0)
    speak(engine, 0, 10)
    few = max(one_more(engine, 10))
    speak(engine, 310, MESSAGES)
    many = max(one_more(engine, 310 + MESSAGES))
    assert few <= HEAD_BYTES + BUCKET_BYTES
    assert many <= HEAD_BYTES + BUCKET_BYTES


@either
def test_an_id_takes_at_most_16_bytes_of_a_checkpoint(make_engine: MakeEngine) -> None:
    """Of a busy partition, all in all; and no entry is larger than a bucket, however many messages there are."""
    engine = make_engine(Policy(), 0)
    written = speak(engine, 0, MESSAGES)
    assert sum(len(key) + len(value or b"") for key, value in written) <= 16.1 * MESSAGES + HEAD_BYTES
    assert max(len(value or b"") for _, value in written) <= BUCKET_BYTES


@needs_kernel
def test_an_id_takes_16_bytes_of_memory_and_its_share_of_the_table() -> None:
    """A kernel without any state holds about 1.1 MB, and the table here 400 KB."""
    engine = kernel(Policy(), 0)
    for first in range(0, 60_000, MESSAGES):
        speak(engine, first, MESSAGES)
    assert engine.held_bytes <= 16 * engine.ids + 1_700_000  # type: ignore[attr-defined]


@needs_kernel
def test_a_hot_interaction_on_disk_does_not_drag_its_ids_along(tmp_path: Path) -> None:
    """They stay in the store when it returns, and a repeat is known all the same."""
    engine = spilling(tmp_path)(Policy(), 0)
    speak(engine, 0, MESSAGES)
    assert max(one_more(engine, MESSAGES)) <= HEAD_BYTES + BUCKET_BYTES
    assert engine.ids <= 2 * 256
    repeat = stored("chat-events", 0, 2 * MESSAGES, Record(None, chat(0, user="hot", id="0")), NOW)
    assert engine.process([repeat]).outcomes == {"duplicate": 1}


@either
@pytest.mark.parametrize("horizon_ms", [1_000, 60_000])
def test_buckets_do_not_depend_on_the_horizon(make_engine: MakeEngine, horizon_ms: int) -> None:
    """So a state may be restored under another one: only how many of the first buckets are left follows from it."""
    long, short = make_engine(Policy(), 0), make_engine(Policy(horizon_ms=horizon_ms), 0)
    all_entries, fewer = dict(speak(long, 0, MESSAGES)), dict(speak(short, 0, MESSAGES))
    kept = {key: value for key, value in fewer.items() if value is not None}
    again = core(Policy(horizon_ms=horizon_ms), 0)
    for block in [long.sweep(2**30)[0]]:
        again.load(0, block)
    again.finish(-1, T0 + 100 * (MESSAGES - 1), 0)
    speak(again, 0, 1)  # Too late, which forgets nothing, and then a tick.
    again.process([stored("chat-events", 0, MESSAGES, Record(None, encode_tick(T0)), NOW)])
    restored = dict(unpack(again.sweep(2**30)[0]))
    buckets = {key: value for key, value in kept.items() if key[:1] == b"\0"}
    assert buckets.items() <= all_entries.items()
    assert {key: value for key, value in restored.items() if key[:1] == b"\0"} == buckets
