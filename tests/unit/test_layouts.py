"""The layout in the topic `policies`: which records count, and which topics a worker refuses."""

import pytest
from msgspec.structs import replace

from meter.core.policy import Policy
from meter.kafka.layouts import LayoutError, agreed_layout, read_layout, write_layout
from meter.kafka.records import Record
from schemas.layout import DecidedMark, LayoutRecord, encode_layout
from schemas.topics import POLICIES
from tests.properties.memory_log import MemoryLog
from tests.properties.memory_state_topic import done
from tests.properties.policies import policy_line
from tests.properties.repartitioning import MemoryTopics

FIRST = LayoutRecord(generation=0, partitions=4)
BEGUN = LayoutRecord(generation=1, partitions=6, before=4, step="begun", owner="one")
COPIED = replace(BEGUN, step="copied", marks=(DecidedMark("wallet-state", 0, -1, b"\x00mark"),))
MARKED = replace(COPIED, step="marked")
DONE = replace(MARKED, step="done", marks=())


def topics_with(*layouts: LayoutRecord, partitions: int = 4) -> MemoryTopics:
    """Topics that have so many partitions, and these records among versions of the policy."""
    log = MemoryLog(partitions, 0)
    log.add(POLICIES.name, 0, Record(None, policy_line(1, Policy())))
    for layout in layouts:
        log.add(POLICIES.name, 0, Record(None, encode_layout(layout)))
        log.add(POLICIES.name, 0, Record(None, policy_line(2, Policy())))
    return MemoryTopics(log)


def test_steps_count_in_their_order() -> None:
    """Each step of a whole repartition counts, and the marks travel with it; the next one may follow."""
    steps = [FIRST, BEGUN, COPIED, MARKED, DONE]
    for count in range(1, 6):
        assert done(read_layout(topics_with(*steps[:count]))) == steps[count - 1]
    again = replace(BEGUN, generation=2, partitions=12, before=6)
    assert done(read_layout(topics_with(*steps, again))) == again


@pytest.mark.parametrize(
    ("before", "late"),
    [
        ((), BEGUN),
        ((FIRST,), replace(FIRST, partitions=8)),
        ((FIRST,), replace(BEGUN, partitions=3)),
        ((FIRST,), replace(BEGUN, before=5)),
        ((FIRST,), replace(BEGUN, generation=0)),
        ((FIRST,), COPIED),
        ((FIRST, BEGUN), replace(BEGUN, partitions=8)),
        ((FIRST, BEGUN), MARKED),
        ((FIRST, BEGUN, replace(BEGUN, owner="two")), COPIED),
        ((FIRST, BEGUN, COPIED), BEGUN),
        ((FIRST, BEGUN, COPIED), DONE),
        ((FIRST, BEGUN, COPIED, MARKED, DONE), MARKED),
        ((FIRST, BEGUN, COPIED, MARKED, DONE), COPIED),
    ],
)
def test_what_does_not_follow_does_not_count(before: tuple[LayoutRecord, ...], late: LayoutRecord) -> None:
    """A step that is not next, another number, and the end of a command after another one has begun."""
    last = before[-1] if before else None
    assert done(read_layout(topics_with(*before, late))) == last
    with pytest.raises(LayoutError, match="another `python -m meter repartition` has gone on meanwhile"):
        done(write_layout(topics_with(*before), late))


def test_the_first_process_writes_the_layout_down() -> None:
    """A worker that starts later compares with it."""
    topics = topics_with()
    done(agreed_layout(topics))
    assert done(read_layout(topics)) == FIRST
    done(agreed_layout(topics))


@pytest.mark.parametrize(
    ("layouts", "partitions", "sentence"),
    [
        ((FIRST,), 6, "have 6 partitions, .* saved with 4: .*run `python -m meter repartition --to 6 --yes`"),
        ((FIRST,), 3, "have 3 partitions, .* saved with 4: .*run `python -m meter begin-anew`"),
        ((FIRST, BEGUN), 4, "changed from 4 to 6 partitions: run `python -m meter repartition --to 6 --yes`"),
        ((FIRST, BEGUN, COPIED), 6, "changed from 4 to 6 partitions: run `python -m meter repartition --to 6 --yes`"),
        ((FIRST, BEGUN, COPIED, MARKED), 6, "changed from 4 to 6 partitions"),
    ],
)
def test_a_worker_refuses_another_layout_than_the_topics(
    layouts: tuple[LayoutRecord, ...], partitions: int, sentence: str
) -> None:
    """More partitions, fewer, and a repartition that is unfinished: one sentence, with the command that goes on."""
    with pytest.raises(LayoutError, match=sentence):
        done(agreed_layout(topics_with(*layouts, partitions=partitions)))


def test_a_worker_starts_after_the_end() -> None:
    """The layout that is done is the one that counts."""
    done(agreed_layout(topics_with(FIRST, BEGUN, COPIED, MARKED, DONE, partitions=6)))
