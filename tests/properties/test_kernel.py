"""The kernel against the core: for any input, nothing that can be seen of them differs."""

from collections import defaultdict
from collections.abc import Iterator
from random import Random
from unittest.mock import patch

import pytest
from aiokafka import ConsumerRecord
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from meter.core.sessions import accepted_ids
from meter.core.sessions.keys import is_bucket_key
from meter.kafka.fetched import records_from
from meter.kafka.records import BATCH_BYTES, Packed, Record
from meter.sessionizer.engine import Engine
from meter.stage.blocks import Entry, pack, unpack
from schemas.topics import CHAT_EVENTS
from tests.fuzz.cases import BATCH, case, now_of, whole_events
from tests.kafka_batches import sent_bytes
from tests.packed_records import listed, unpacked
from tests.properties.memory_log import stored
from tests.properties.record_cases import SPEAKERS, batches, event, in_utf8, much_spoken, plain, spoken
from tests.properties.worlds import NOW, POLICY, START
from tests.sessionizer_engines import core, kernel, needs_kernel, parts

pytestmark = needs_kernel

PARTITION = 0
SHARED = 2, 4
"""The partition, of so many, that most of what is spoken belongs to. The rest is misplaced."""

Held = dict[bytes, bytes]


class Both:
    """A core and a kernel that are given the same, and what a checkpoint topic would hold of each."""

    def __init__(self, partition: int = PARTITION, partitions: int = 1) -> None:
        self._share = partition, partitions
        self.engines: list[Engine] = [make(POLICY, *self._share) for make in (core, kernel)]
        self.held: list[Held] = [{}, {}]

    def process(self, records: list[ConsumerRecord]) -> None:
        """A batch; both have to make the same of it."""
        sent, _ = records_from(sent_bytes(records, 5), 0)
        ours, theirs = (parts(each, given) for each, given in zip(self.engines, (records, sent), strict=True))
        assert theirs == ours
        self.compare()

    def compare(self) -> None:
        ours, theirs = (
            (each.watermark_ms, each.arrived_ms, each.closed_messages, each.live, each.in_force, each.oldest_ms)
            for each in self.engines
        )
        assert theirs == ours

    def save(self) -> None:
        """What changed is the same, each key is there once, and both then hold the same."""
        changes = [list(_changed(each)) for each in self.engines]
        ours, theirs = (dict(each) for each in changes)
        assert [len(each) for each in changes] == [len(ours), len(theirs)]
        assert theirs == ours
        for held, changed in zip(self.held, (ours, theirs), strict=True):
            for key, value in changed.items():
                held.pop(key, None)
                if value is not None:
                    held[key] = value

    def restore(self) -> None:
        """Both go on from what the other one wrote."""
        places = [(each.watermark_ms, each.closed_messages) for each in self.engines]
        policies = [(each.in_force, each.oldest_ms) for each in self.engines]
        self.engines = [make(POLICY, *self._share) for make in (core, kernel)]
        for engine, policy in zip(self.engines, policies, strict=True):
            engine.adopt(*policy)
        for engine, held, place in zip(self.engines, reversed(self.held), places, strict=True):
            for block in pack(held.items()):
                engine.load(0, block)
            engine.finish(-1, *place)
        self.compare()

    def sweep(self, size_bytes: int) -> None:
        """Everything that is held, as it stands."""
        for engine in self.engines:
            found: list[Entry] = []
            is_over = False
            while not is_over:
                block, is_over = engine.sweep(size_bytes)
                found += unpack(block)
            assert len(found) == len(dict(found))
            assert sum(not is_bucket_key(key) for key, _ in found) == engine.live
            assert dict(found) == self.held[0]


def _changed(engine: Engine) -> Iterator[Entry]:
    for block in engine.changed():
        yield from unpack(block)


moments = st.lists(
    st.tuples(st.integers(1, 12), st.sampled_from(("", "", "save", "restore", "restore", "sweep"))),
    min_size=1,
)
"""How many records a batch has, and what is done after it."""


@given(spoken, moments)
def test_kernel_and_core_cannot_be_told_apart(records: list[ConsumerRecord], plan: list[tuple[int, str]]) -> None:
    """DOMAIN, Metering, all of it: outcomes, counts, metered records byte by byte and in order, dead letters with their
    reasons, state entries, watermark; in any batches, and each going on from checkpoints of the other."""
    assert_alike(records, plan)


@pytest.mark.parametrize("seed", range(20))
def test_kernel_and_core_agree_over_long_feeds(seed: int) -> None:
    """The same of long feeds, in which chains are long, places are given back and tables grow and are cleared."""
    rng = Random(seed)
    thens = ("", "", "", "save", "restore", "sweep")
    assert_alike(much_spoken(seed, 1_000), [(rng.randrange(1, 60), rng.choice(thens)) for _ in range(50)])


def assert_alike(records: list[ConsumerRecord], plan: list[tuple[int, str]]) -> None:
    """Batches of the sizes that the plan has, again and again, each followed by what it says."""
    with patch.object(accepted_ids, "BUCKET_IDS", (1, 3, 12, 256)[plan[0][0] % 4]):
        run(Both(*SHARED), records, plan)


def run(both: Both, records: list[ConsumerRecord], plan: list[tuple[int, str]]) -> None:
    for batch, then in batches(records, plan):
        both.process(batch)
        if then:
            both.save()
        if then == "restore":
            both.restore()
        if then == "sweep":
            both.sweep(1 + 100 * (len(batch) % 3))
    both.save()


def compared(values: list[bytes | None], now_ms: int) -> None:
    """Both make the same of records with these values."""
    both = Both()
    both.process(
        [stored(CHAT_EVENTS.name, PARTITION, at, Record(b"k", value), now_ms) for at, value in enumerate(values)]
    )
    both.save()


@pytest.mark.parametrize("seed", range(1, 6))
def test_damaged_records_are_read_or_refused_alike(seed: int) -> None:
    """DOMAIN, Metering 6: the kernel accepts nothing that the reference refuses, and reads nothing otherwise."""
    cases = [case(seed, number) for number in range(BATCH)]
    events = [each.value for each in cases if each.topic == CHAT_EVENTS.name]
    assert len(events) > BATCH // 2
    compared(events, now_of(0))


bytes_of_json = st.integers(0, 255) | st.sampled_from(b'0123456789":,{}[]TZ+-. aetuxz\xc3\xa9')


@given(
    st.sampled_from(
        [plain(event(START, 1, who, "chat.message", "user")) for who in SPEAKERS[:5]] + whole_events()[:20]
    ),
    st.lists(st.tuples(st.integers(0, 600), bytes_of_json), min_size=1, max_size=4),
)
def test_bytes_turned_over_are_read_or_refused_alike(line: bytes, flips: list[tuple[int, int]]) -> None:
    """The same, byte by byte."""
    broken = bytearray(line)
    for place, byte in flips:
        broken[place % len(broken)] = byte
    compared([line, bytes(broken), line], NOW)


TIMES = (
    *("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.001Z", "1969-12-31T23:59:59.999Z", "2024-02-29T23:59:59.9Z"),
    *("2023-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2000-02-29T00:00:00Z", "2024-12-31T23:59:60Z"),
    *("2024-04-31T00:00:00Z", "2024-13-01T00:00:00Z", "2024-00-01T00:00:00Z", "2024-01-00T00:00:00Z"),
    *("2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z", "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00.123456789Z"),
    *("2024-01-01T00:00:00.1234567890Z", "2024-01-01T00:00:00.12Z", "2024-01-01t00:00:00z", "2024-01-01 00:00:00Z"),
    *("2024-01-01T00:00:00,5Z", "2024-01-01T00:00:00", "2024-1-1T00:00:00Z", "9999-12-31T23:59:59.999Z"),
    *("0001-01-01T00:00:00Z", "2024-01-01T00:00:00+00:00", "2024-01-01T00:00:00-0000", "20240101T000000Z"),
    *("2024-01-01T00:00:0:Z", "2024-01-01T00:00:00.0000000000000000Z", "/024-01-01T00:00:00Z", "2024-01-01T00:00:00ZZ"),
)


@pytest.mark.parametrize("time", TIMES)
def test_times_are_read_or_refused_alike(time: str) -> None:
    """DOMAIN, Metering 4: to the millisecond, cut, and only where the calendar has it; whenever it was received."""
    line = plain(event(START, 1, SPEAKERS[0], "chat.message", "user") | {"time": time})
    for now_ms in (0, NOW, 2**55):
        compared([line], now_ms)


@pytest.mark.parametrize("field", ["id", "source", "workspace_id", "bot_id", "channel", "channel_user_id"])
@pytest.mark.parametrize("character", ["x", "é", "\u20ac", "\U0001f600"])
@pytest.mark.parametrize("length", [0, 1, 61, 129, 511, 512, 513])
def test_names_of_any_length_are_read_or_refused_alike(field: str, character: str, length: int) -> None:
    """1 to 512 characters, not bytes; ids follow from them by the same digest."""
    record = event(START, 1, SPEAKERS[0], "chat.message", "agent")
    (record if field in record else record["data"])[field] = character * length
    compared([in_utf8(record)], NOW)


@given(spoken, st.integers(1, 9), st.sampled_from((0, 1_000, BATCH_BYTES)))
def test_kernel_packs_batches_as_the_client_does(
    records: list[ConsumerRecord], partitions: int, most_bytes: int
) -> None:
    """Each record where Kafka's default partitioner puts its key, those of a partition in their order, and no batch
    larger than asked for unless it has to be."""
    from meter.sessionizer.kernel_engine import KernelEngine  # Cannot be imported where it is not built.

    ours, theirs = core(POLICY, PARTITION), kernel(POLICY, PARTITION)
    every = list(range(partitions))
    expected: defaultdict[int, list[Record]] = defaultdict(list)
    for record in listed(ours.process(records).metered):
        expected[DefaultPartitioner()(record.key, every, every)].append(record)
    assert isinstance(theirs, KernelEngine)
    theirs.process(records)
    found: defaultdict[int, list[Record]] = defaultdict(list)
    for packed in theirs._kernel.pack(partitions, most_bytes):
        each = Packed(*packed)
        assert each.records_count == 1 or len(each.records) <= most_bytes
        found[each.partition] += unpacked(each)
    assert found == expected


@given(st.text(st.sampled_from("az09é\u20ac\U0001f600"), min_size=1, max_size=30))
def test_kernel_partitions_any_workspace_as_kafka_does(name: str) -> None:
    """For any bytes, of which a hash that reads four at a time has up to three left at the end."""
    engine = kernel(POLICY, PARTITION)
    line = in_utf8(event(START, 1, (name, "b", "web", "u"), "chat.message", "user"))
    metered = engine.process([stored(CHAT_EVENTS.name, PARTITION, 0, Record(None, line), NOW)]).metered
    assert callable(metered)
    every = list(range(1_000))
    assert [each.partition for each in metered(1_000)] == [DefaultPartitioner()(name.encode(), every, every)]
