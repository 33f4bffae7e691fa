"""What an engine owes the stage that keeps its state: entries, blocks, sweeps and loading; the kernel's limits."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from struct import pack
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core.policy import Policy
from meter.core.sessions.accepted_ids import AcceptedId
from meter.core.sessions.conversations import Conversation, Interaction
from meter.core.sessions.keys import is_bucket_key, pack_bucket_key, pack_key, unpack_bucket_key, unpack_key
from meter.core.sessions.state_codec import pack_bucket, pack_interaction, unpack_bucket, unpack_interaction
from meter.kafka.records import Record
from meter.kernel import is_built
from meter.sessionizer.engine import Engine, MakeEngine
from meter.stage import blocks as module
from meter.stage.blocks import Entry, unpack
from tests.oracle.build import HOUR, NOW, T0, chat
from tests.properties.memory_log import stored
from tests.sessionizer_engines import either, kernel, needs_kernel

entries = st.lists(st.tuples(st.binary(max_size=20), st.none() | st.binary(max_size=20)), max_size=20)
times = st.integers(0, 2**48 - 1)
ids = st.binary(min_size=16, max_size=16)
counts = st.integers(0, 2**31 - 1)
interactions = st.builds(
    Interaction,
    st.lists(st.builds(Conversation, ids.map(bytes.hex), times, times, times, counts, counts, st.booleans())),
    times,
)
buckets = st.lists(
    st.builds(AcceptedId, st.binary(min_size=11, max_size=11), times, st.integers(0, 2**24 - 1)),
    min_size=1,
    max_size=256,
)


@given(entries, st.integers(1, 100))
def test_blocks_hold_what_was_put_in(given_entries: list[Entry], most: int) -> None:
    """Every entry, in its order; a block is closed with the entry that makes it as large as it may be."""
    with patch.object(module, "BLOCK_BYTES", most):
        made = list(module.pack(given_entries))
    assert [entry for block in made for entry in unpack(block)] == given_entries
    for block in made:
        *before, _ = unpack(block)
        assert len(b"".join(module.pack(before))) < most
        assert block is made[-1] or len(block) >= most


@given(st.tuples(st.text(), st.text(), st.text(), st.text()), interactions)
def test_packed_is_unpacked_as_it_was(key: tuple[str, str, str, str], interaction: Interaction) -> None:
    """Key and value of any entry."""
    assert unpack_key(pack_key(key)) == key
    assert unpack_interaction(pack_interaction(interaction)) == interaction


@given(st.integers(0, 2**63 - 1), buckets)
def test_a_bucket_is_unpacked_as_it_was(number: int, ids: list[AcceptedId]) -> None:
    """Key and value; and the key is none of an interaction."""
    assert unpack_bucket_key(pack_bucket_key(number)) == number
    assert is_bucket_key(pack_bucket_key(number))
    assert unpack_bucket(pack_bucket(ids)) == ids


def spoken(engine: Engine, *users: str, at: int = 0, offset: int = 0) -> None:
    values = [chat(at + number, user=user, id=f"{user}-{at}") for number, user in enumerate(users)]
    engine.process([stored("chat-events", 0, offset + n, Record(None, value), NOW) for n, value in enumerate(values)])


def held(block: bytes) -> dict[str, bytes | None]:
    """The interactions of a block, by channel user."""
    return {unpack_key(key)[3]: value for key, value in unpack(block) if not is_bucket_key(key)}


def changed(engine: Engine) -> bytes:
    return b"".join(engine.changed())


def one(entry: Entry) -> bytes:
    return b"".join(module.pack([entry]))


@either
def test_the_newest_of_a_key_counts_and_nothing_below_the_floor(make_engine: MakeEngine) -> None:
    """In any order of loading: by offset, at the same offset the later; what ended stays ended."""
    engine = make_engine(Policy(), 0)
    spoken(engine, "a", "b", "c", "d")
    old = changed(engine)
    spoken(engine, "a", "b", at=1_000, offset=10)
    new = changed(engine)
    key_of = {unpack_key(key)[3]: key for key, _ in unpack(old) if not is_bucket_key(key)}
    newest = dict(unpack(new))
    loads = [(5, old), (15, new), (7, one((key_of["c"], None))), (15, new)]
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]):
        again = make_engine(Policy(), 0)
        for number in order:
            again.load(*loads[number])
        again.finish(5, engine.watermark_ms, 0)
        found, is_over = again.sweep(10_000)
        assert is_over
        assert held(found) == {user: newest[key_of[user]] for user in ("a", "b")}
        assert again.live == 2
        assert list(again.changed()) == []


@either
def test_a_sweep_meets_whatever_lives_through_it(make_engine: MakeEngine) -> None:
    """While others end and begin. Each step is as large as asked, or ends the sweep."""
    engine = make_engine(Policy(), 0)
    spoken(engine, *(f"old-{n}" for n in range(10)))
    spoken(engine, *(f"u-{n}" for n in range(10)), at=24 * HOUR, offset=100)
    found, is_over = engine.sweep(200)
    assert not is_over
    assert 200 <= len(found) < 500
    visited = list(held(found))
    spoken(engine, *(f"new-{n}" for n in range(5)), at=26 * HOUR, offset=200)  # The old ones have ended by now.
    changed(engine)
    while not is_over:
        found, is_over = engine.sweep(500)
        assert not set(held(found)) & set(visited)
        visited += held(found)
    assert {f"u-{n}" for n in range(10)} <= set(visited)
    assert engine.live == 15


@either
@pytest.mark.parametrize("turned", [False, True])
def test_an_id_that_came_back_belongs_to_the_newer_event(make_engine: MakeEngine, turned: bool) -> None:
    """DOMAIN, Metering 7: also after a restore of both, in either order. The older one is still held, for it came
    after one that is in reach."""
    engine = make_engine(Policy(), 0)
    values = [chat(HOUR, user="a", id="first"), chat(0, user="a", id="e"), chat(24 * HOUR + 1, user="b", id="newest")]
    again = chat(24 * HOUR, user="b", id="e")
    engine.process(
        [stored("chat-events", 0, at, Record(None, value), NOW) for at, value in enumerate([*values, again])]
    )
    found = list(unpack(changed(engine)))
    restored = make_engine(Policy(), 0)
    for entry in reversed(found) if turned else found:
        restored.load(1, one(entry))
    restored.finish(-1, engine.watermark_ms, 0)
    processed = restored.process([stored("chat-events", 0, 9, Record(None, again), NOW)])
    assert processed.outcomes == {"duplicate": 1}


@either
@pytest.mark.parametrize("broken", [b"\x01", pack("<II", 5, 0) + b"k", pack("<II", 4, 9) + b"\x00\x00\x00u"])
def test_a_block_that_breaks_off_is_refused(make_engine: MakeEngine, broken: bytes) -> None:
    """A restore learns of it, and goes on with nothing."""
    engine = make_engine(Policy(), 0)
    with pytest.raises(ValueError):
        engine.load(1, broken)


@either
def test_an_entry_that_time_has_passed_is_refused(make_engine: MakeEngine) -> None:
    """No checkpoint holds one: what was due had ended or was due again."""
    writer, engine = make_engine(Policy(), 0), make_engine(Policy(), 0)
    spoken(writer, "a")
    engine.load(1, changed(writer))
    with pytest.raises(ValueError):
        engine.finish(-1, T0 + 25 * HOUR, 0)


@either
def test_a_horizon_may_have_been_longer(make_engine: MakeEngine) -> None:
    """What is due to be forgotten later than anything could be now is forgotten then."""
    before = make_engine(Policy(horizon_ms=48 * HOUR), 0)
    spoken(before, "a")
    spoken(before, "b", at=HOUR, offset=1)
    after = make_engine(Policy(horizon_ms=HOUR), 0)
    after.load(1, changed(before))
    after.finish(-1, before.watermark_ms, before.closed_messages)
    assert after.live == 2
    spoken(after, "b", at=48 * HOUR, offset=2)
    assert after.live == 2
    spoken(after, "b", at=50 * HOUR, offset=3)
    assert after.live == 1


@needs_kernel
@given(st.data())
def test_no_entry_harms_the_kernel(data: st.DataObject) -> None:
    """An entry of any bytes is taken whole or refused, and nothing else happens."""
    writer = kernel(Policy(), 0)
    spoken(writer, "a", "b")
    spoken(writer, "a", at=HOUR, offset=5)
    block = bytearray(changed(writer))
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0, len(block) - 1), st.integers(0, 255)), max_size=4)):
        block[place] = byte
    engine = kernel(Policy(), 0)
    try:
        engine.load(1, bytes(block))
        engine.finish(-1, writer.watermark_ms, 0)
    except ValueError:
        with pytest.raises(RuntimeError):
            engine.process([])
        return
    spoken(engine, "a", "b", at=2 * HOUR)
    spoken(engine, "a", "b", at=100 * HOUR)
    list(engine.changed())


_STARVED = """
import resource, sys
from tests.unit.test_sessionizer_engines import Policy, kernel, spoken
engine = kernel(Policy(), 0)
used = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used + 24 * 2**20, resource.RLIM_INFINITY))
try:
    for at in range(10_000):
        spoken(engine, *(f"{at}-{n}" for n in range(100)), at=at * 1_000, offset=at * 100)
except MemoryError:
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    try:
        engine.process([])
    except RuntimeError as refused:
        sys.exit(str(refused))
"""


@needs_kernel
def test_a_kernel_that_ran_out_of_memory_refuses_further_calls() -> None:
    """MemoryError, and from then on an error that says what to do: no half step is ever seen."""
    done = subprocess.run([sys.executable, "-c", _STARVED], capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr.strip() == "this state is not whole: restore it from its checkpoint"


def test_the_kernel_is_built_where_it_can_be() -> None:
    """Or a build that failed would pass for a slow machine."""
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    if header.exists() and any(map(shutil.which, ("cc", "gcc", "clang"))):
        assert is_built(), "there is a C compiler and no kernel: install the product again and read what the build says"
    else:
        pytest.skip("there is no C compiler here, or no header of Python")
