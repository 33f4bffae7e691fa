"""The kernel that lets go of all it may against the core, which holds everything: nothing that can be seen differs."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from unittest.mock import patch

import msgspec
import pytest
from aiokafka import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from meter.core.sessions import accepted_ids
from meter.core.sessions.keys import is_bucket_key
from meter.core.sessions.state_codec import pack_bucket, unpack_bucket
from meter.kafka.fetched import records_from
from meter.sessionizer.engine import Engine
from meter.stage.blocks import Entry, pack, unpack
from tests.kafka_batches import sent_bytes
from tests.properties.record_cases import batches, much_spoken, spoken
from tests.properties.worlds import POLICY
from tests.sessionizer_engines import core, needs_kernel, parts, spilling

pytestmark = needs_kernel

PARTITION = 2, 4
"""The partition, of so many, that most of what is spoken belongs to. The rest is misplaced."""


class Pair:
    """A core, and a kernel of which at most `above_bytes` are in memory, and what a checkpoint topic holds of them."""

    def __init__(self, directory: Path, above_bytes: int) -> None:
        self.make_spilling = spilling(directory, above_bytes)
        self.core = core(POLICY, *PARTITION)
        self.spilling = self.make_spilling(POLICY, *PARTITION)
        self.held: dict[bytes, bytes] = {}
        self.ended: dict[bytes, bytes] = {}
        """What a superseded worker may still say of interactions that have ended."""
        self.swept: set[bytes] = set()
        """What the present sweep has met, or the checkpoints since it began have written."""

    @property
    def both(self) -> tuple[Engine, Engine]:
        return self.core, self.spilling

    def process(self, records: list[ConsumerRecord]) -> None:
        """A batch; both have to make the same of it."""
        sent, _ = records_from(sent_bytes(records, 5), 0)
        assert parts(self.spilling, sent) == parts(self.core, records)
        self.compare()

    def compare(self) -> None:
        ours, theirs = (
            (each.watermark_ms, each.closed_messages, each.live, each.in_force, each.oldest_ms) for each in self.both
        )
        assert theirs == ours

    def save(self) -> None:
        """What changed is there, once; what else is written as well stands as it stood."""
        ours, written = dict(_changed(self.core)), list(_changed(self.spilling))
        theirs = dict(written)
        assert len(written) == len(theirs)
        assert ours.items() <= theirs.items()
        assert all(self.held[key] == theirs[key] for key in theirs.keys() - ours.keys())
        for key, value in ours.items():
            before = self.held.pop(key, None)
            if before is not None and value is None:
                self.ended[key] = before
            if value is not None:
                self.held[key] = value
        self.swept |= theirs.keys()

    def restore(self, offset: int, floor: int, horizon_ms: int = POLICY.horizon_ms) -> None:
        """Go on from what the topic holds, in no order, with what does not count any more among it."""
        place = self.core.watermark_ms, self.core.closed_messages
        switched, oldest_ms = self.core.in_force, self.core.oldest_ms
        policy = msgspec.structs.replace(POLICY, horizon_ms=horizon_ms)
        self.core, self.spilling = core(policy, *PARTITION), self.make_spilling(policy, *PARTITION)
        outdated = [(key, _outdated(key, value)) for key, value in self.held.items()]
        outdated += self.ended.items()
        loads = [(offset, block) for block in pack(self.held.items())]
        loads += [(floor, block) for block in pack(outdated)]
        for engine in self.both:
            for each in loads:
                engine.load(*each)
            if switched.version > 1:
                engine.adopt(switched, oldest_ms)
            engine.finish(floor, *place)
        self.swept = set()
        self.compare()

    def sweep(self, size_bytes: int) -> None:
        """A step. Once it is over, all that lives was met, as it stood, or written since it began."""
        block, is_over = self.spilling.sweep(size_bytes)
        for key, value in unpack(block):
            assert self.held[key] == value
            self.swept.add(key)
        if is_over:
            assert self.swept >= self.held.keys()
            self.swept = set()


def _outdated(key: bytes, value: bytes) -> bytes:
    """What an entry may have been before: a bucket with one id less, an interaction that cannot be read."""
    return pack_bucket(unpack_bucket(value)[:-1]) or value if is_bucket_key(key) else value[:-1] + b"?"


def _changed(engine: Engine) -> Iterator[Entry]:
    for block in engine.changed():
        yield from unpack(block)


HORIZONS = {"restore": 1.0, "restore, later is late": 2.5, "restore, sooner is late": 0.4}
"""The worker that restores may be of a deployment with another late horizon: so many times ours."""

moments = st.lists(st.tuples(st.integers(1, 12), st.sampled_from(("", "save", "save", *HORIZONS, "sweep"))), min_size=1)
limits = st.sampled_from((0, 1_000, 10_000))


@given(spoken, moments, limits)
def test_whether_state_is_in_memory_cannot_be_told(
    records: list[ConsumerRecord], plan: list[tuple[int, str]], above_bytes: int
) -> None:
    """DOMAIN, Metering, all of it: as for the kernel that holds everything; and a sweep meets what moves meanwhile."""
    assert_alike(records, plan, above_bytes)


@pytest.mark.parametrize("seed", range(20))
def test_spilling_and_core_agree_over_long_feeds(seed: int) -> None:
    """The same of long feeds, in which interactions come and go many times."""
    rng = Random(seed)
    thens = ("", "", "", "save", "save", *HORIZONS, "sweep", "sweep", "sweep")
    plan = [(rng.randrange(1, 60), rng.choice(thens)) for _ in range(50)]
    assert_alike(much_spoken(seed, 1_000), plan, rng.choice((0, 5_000, 50_000)))


def assert_alike(records: list[ConsumerRecord], plan: list[tuple[int, str]], above_bytes: int) -> None:
    """Batches of the sizes that the plan has, again and again, each followed by what it says."""
    size = (1, 3, 12, 256)[plan[0][0] % 4]
    with TemporaryDirectory() as directory, patch.object(accepted_ids, "BUCKET_IDS", size):
        pair = Pair(Path(directory), above_bytes)
        for step, (batch, then) in enumerate(batches(records, plan)):
            pair.process(batch)
            if then:
                pair.save()
            if then in HORIZONS:
                pair.restore(2 * step + 1, 2 * step, int(HORIZONS[then] * POLICY.horizon_ms))
            if then == "sweep":
                pair.sweep(1 + 100 * (len(batch) % 3))
        pair.save()
        del pair  # Before its directory goes.
