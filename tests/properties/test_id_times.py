"""The kernel keeps half of an id's time where it can, and the time is the same to the millisecond."""

from hypothesis import given
from hypothesis import strategies as st

from meter.core.policy import Policy
from meter.kafka.records import Record
from meter.sessionizer.engine import Engine
from meter.stage.blocks import unpack
from tests.oracle.build import NOW, chat
from tests.properties.memory_log import stored
from tests.sessionizer_engines import core, kernel, needs_kernel

WINDOW_MS = 2**16
EDGES = [0, WINDOW_MS // 4, WINDOW_MS * 3 // 4, WINDOW_MS, 2 * WINDOW_MS, 3_600_000, 20 * 3_600_000]
"""Distances from the first time of a bucket: where its window begins and ends, and far beyond."""
times = st.builds(
    lambda edge, sign, off: 30 * 3_600_000 + sign * edge + off, st.sampled_from(EDGES), st.sampled_from((-1, 1)),
    st.integers(-2, 2),
)  # fmt: skip


def spoken(engine: Engine, times_ms: list[int], size: int, offset: int = 0) -> list[dict[str, int]]:
    """What becomes of events at these times."""
    values = [chat(at_ms, user="u", id=str(number)) for number, at_ms in enumerate(times_ms)]
    records = [stored("chat-events", 0, offset + n, Record(None, value), NOW) for n, value in enumerate(values)]
    return [dict(engine.process(records[at : at + size]).outcomes) for at in range(0, len(records), size)]


def swept(engine: Engine) -> dict[bytes, bytes | None]:
    return dict(unpack(engine.sweep(2**30)[0]))


@needs_kernel
@given(st.lists(times, min_size=1, max_size=40), st.integers(1, 40))
def test_the_kernel_keeps_times_to_the_millisecond(times_ms: list[int], size: int) -> None:
    """With any first time of a bucket, and any id as the first one outside its window: repeats are found, and the
    entries are those of the core. So it is after a restore."""
    ours, theirs, again = core(Policy(), 0), kernel(Policy(), 0), kernel(Policy(), 0)
    assert spoken(theirs, times_ms, size) == spoken(ours, times_ms, size)
    assert swept(theirs) == swept(ours)
    again.load(0, theirs.sweep(2**30)[0])
    again.finish(-1, theirs.watermark_ms, theirs.closed_messages)
    assert swept(again) == swept(ours)
    expected = spoken(ours, times_ms, size, 1_000)
    assert spoken(theirs, times_ms, size, 1_000) == expected
    assert spoken(again, times_ms, size, 1_000) == expected
