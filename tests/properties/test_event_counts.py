"""Every event is accounted for, at every moment that a comparison tells of, also with crashes in between."""

from collections import defaultdict

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from meter.core.decode import read
from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.core.sessions.sessionize import Sessions
from schemas.dead_letters import from_record
from schemas.event_counts import CountComparison, EventCounts, decode_comparison
from schemas.events import decode_event
from schemas.ledger import decode_ledger_update
from schemas.topics import CHAT_EVENTS, DEAD_LETTERS, EVENT_COUNTS, LEDGER, WALLET_INPUTS
from tests.feeds.lines import HOUR_MS, MINUTE_MS
from tests.properties.memory_log import MemoryLog
from tests.properties.pipeline import Pipeline, Turn, driven, ended
from tests.properties.view import view
from tests.properties.worlds import (
    GAP,
    HOLD,
    HORIZON,
    NOW,
    POLICY,
    START,
    STRANGERS,
    WHO,
    Arrival,
    arranged,
    chat,
    chats,
    command,
    delays,
    times,
    turns,
)

PARTITIONS = 2

refused = st.lists(
    st.one_of(
        st.builds(lambda at: Arrival(at, b"no event at all"), times),
        st.builds(lambda at: Arrival(at, chat(NOW + HOUR_MS, "ahead", WHO[0])), times),
        st.builds(lambda at: Arrival(at + HORIZON + GAP, chat(at - HORIZON, f"late-{at}", WHO[1])), times),
        st.builds(lambda at: Arrival(at, command("plan.changed", at, f"x-{at}", WHO[0][0], plan="enterprise")), times),
    ),
    max_size=5,
)
"""Lines that are refused, for one reason or another, among events and among commands."""

conflicts = st.lists(
    st.builds(lambda at, who: Arrival(at, chat(at, "one-id", who)), times, st.sampled_from(WHO)), max_size=4
)

created = st.lists(
    st.builds(
        lambda at, delay: Arrival(at + delay, command("workspace.created", at, "c", STRANGERS[0][0], plan="standard")),
        times,
        delays,
    ),
    max_size=1,
)
"""The unknown workspace may become known after all."""

few = chats(least=12, most=30, who=(WHO[0], WHO[3], *STRANGERS[:1]))
"""So few people that their conversations are often joined late, bridged and opened again."""

worlds = st.builds(arranged, chats() | few, refused, conflicts, created)


def comparisons_of(log: MemoryLog) -> dict[tuple[int, int], dict[int, CountComparison]]:
    """(origin partition, offset) -> wallet partition -> what it told. What is told twice must be the same twice."""
    told: defaultdict[tuple[int, int], dict[int, CountComparison]] = defaultdict(dict)
    for record in log.all_of(EVENT_COUNTS.name):
        comparison = decode_comparison(record.value)
        of_point = told[comparison.origin_partition, comparison.origin_offset]
        assert of_point.setdefault(comparison.wallet_partition, comparison) == comparison
    return told


def letters_up_to(log: MemoryLog, topic: str, partition: int, offset: int) -> int:
    """How many records of a partition were refused up to an offset, however often each was."""
    letters = (from_record(each.key, each.value, list(each.headers)) for each in log.all_of(DEAD_LETTERS.name))
    places = {(each.source_topic, each.source_partition, each.source_offset) for each in letters}
    return sum(at[:2] == (topic, partition) and at[2] <= offset for at in places)


def begun_up_to(log: MemoryLog, partition: int, offset: int) -> int:
    """How many workspaces have updates that say that they began by then. Every writer of an update says the same."""
    since: dict[str, int] = {}
    for record in log.topics[LEDGER.name, partition]:
        update = decode_ledger_update(record.value)
        assert 0 <= since.setdefault(update.workspace_id, update.since) == update.since <= update.version
    return sum(each <= offset for each in since.values())


def assert_adds_up(pipeline: Pipeline) -> int:
    """Every equation of every comparison. Returns how many there were.

    Letters and updates of a batch of wallet inputs are sent with its comparison, and the broker may have that one
    first. A worker that ends then leaves them out until the batch is processed again. Reconciliation waits for them
    (docs/adr/0009); so until then there may be fewer of them, and never more.
    """
    log, complete = pipeline.log, comparisons_of(pipeline.log)
    for (partition, offset), told in complete.items():
        assert list(told) == [partition]
        (counts,) = {each.counts for each in told.values()}
        assert counts.events == offset + 1
        classes = counts.messages, counts.occurrences, counts.duplicates, counts.refused, counts.ticks, counts.moved
        assert sum(classes) == counts.events
        assert counts.closed_messages == sum(each.messages for each in told.values())
        assert counts.occurrences == sum(each.occurrences for each in told.values())
        assert counts.refused == letters_up_to(log, CHAT_EVENTS.name, partition, offset)
        for each in told.values():
            letters = letters_up_to(log, WALLET_INPUTS.name, each.wallet_partition, each.version)
            begun = begun_up_to(log, each.wallet_partition, each.version)
            assert letters <= each.refused_inputs
            assert begun <= each.workspaces
            if each.version < pipeline.acknowledged("charge", each.wallet_partition):
                assert (letters, begun) == (each.refused_inputs, each.workspaces)
    return len(complete)


@pytest.mark.parametrize("policy", [POLICY, HOLD], ids=["provision", "hold"])
@given(worlds, turns)
def test_event_counts_add_up_whatever_crashes(policy: Policy, lines: list[bytes], taken: list[Turn]) -> None:
    """At every offset that is told of: events are messages, occurrences, duplicates, dead letters and ticks; messages
    of closed conversations and occurrences are those that the wallets took; dead letters are those that lie there."""
    found = assert_adds_up(ended(Pipeline(lines, NOW, policy, PARTITIONS), taken))
    event(f"{min(found, 10)} points or more")
    assert found >= PARTITIONS  # The last points, at least, are told by all.


LOST_UPDATE = (
    arranged([Arrival(START, chat(START, "e-0", STRANGERS[0]))]),
    [Turn(partition=1, records=50, checkpoint=True, feed=50), Turn("charge", partition=1, records=50, cut=1)],
)
"""The charger ends when the broker has a comparison, and not yet the update that says that a workspace began."""

LOST_LETTER = (
    arranged(
        [
            Arrival(START, chat(START, "e-0", WHO[0])),
            Arrival(START, command("plan.changed", START, "x-1", WHO[0][0], plan="enterprise")),
        ]
    ),
    [Turn(partition=0, records=50, checkpoint=True, feed=50), Turn("charge", partition=0, records=50, cut=2)],
)
"""The same with the dead letter of a refused command."""


@example(*LOST_UPDATE)
@example(*LOST_LETTER)
@given(worlds, turns)
def test_event_counts_add_up_before_the_feed_has_ended(lines: list[bytes], taken: list[Turn]) -> None:
    """The same while conversations are open and lines are on their way, after every turn."""
    pipeline = Pipeline(lines, NOW, POLICY, PARTITIONS)
    for turn in taken:
        pipeline.feed(turn.feed)
        pipeline.process(turn)
        assert_adds_up(pipeline)


@given(worlds, turns)
def test_in_the_end_all_that_was_said_is_in_closed_conversations(lines: list[bytes], taken: list[Turn]) -> None:
    """After the last tick no message is open, and the rows hold as many messages and occurrences as were counted."""
    log = driven(lines, NOW, taken, POLICY)
    counts = [last_counts(log, partition) for partition in range(PARTITIONS)]
    totals = view(log).totals.values()
    assert [each.messages for each in counts] == [each.closed_messages for each in counts]
    assert sum(each.messages for each in counts) == sum(each.messages for each in totals)
    assert sum(each.occurrences for each in counts) == sum(each.occurrences for each in totals)


def last_counts(log: MemoryLog, partition: int) -> EventCounts:
    """The counts of a partition at the newest offset that is told of."""
    newest = max(point for point in comparisons_of(log) if point[0] == partition)
    return comparisons_of(log)[newest][partition].counts


def test_closed_messages_follow_their_conversations() -> None:
    """A late message may join a conversation that stays closed, bridge two, or open one again; then it closes anew."""
    sessions, known = Sessions(POLICY), []
    spoken = [(0, 0), (2 * GAP, 0), (5 * GAP, 1), (3 * GAP, 0), (GAP, 0), (4 * GAP, 0), (5 * GAP + 1, 1)]
    for number, (at, who) in enumerate(spoken):
        happened = read(chat(START + at, f"e-{number}", WHO[who]), decode_event)
        assert not isinstance(happened, Rejected)
        sessions.step(happened, NOW)
        list(sessions.advance())
        known.append(sessions.closed_messages)
    assert known == [0, 1, 2, 3, 4, 0, 5]
    list(sessions.close_all())
    assert sessions.closed_messages == len(spoken)


@pytest.mark.parametrize("cut", [None, 50])
def test_wallets_agree_while_a_conversation_is_open_again(cut: int | None) -> None:
    """A point is told while a conversation that closed before is open again, and while two that closed are one; by a
    worker that goes on, and by one that restarts after each event."""
    spoken = [(0, 0), (GAP + MINUTE_MS, 1), (GAP - MINUTE_MS, 0), (GAP + 3 * MINUTE_MS, 1)]  # Open again.
    spoken += [(4 * GAP, 0), (6 * GAP, 1), (5 * GAP, 1), (2 * GAP, 0), (8 * GAP, 1), (3 * GAP, 0), (9 * GAP, 1)]
    events = [chat(START + at, f"e-{number}", WHO[who]) for number, (at, who) in enumerate(spoken)]
    lines = arranged([Arrival(number, text) for number, text in enumerate(events)])
    pipeline = Pipeline(lines, NOW, POLICY, PARTITIONS)
    pipeline.run(
        [Turn(partition=at, checkpoint=True, cut=cut, feed=at == 0) for _ in spoken for at in range(PARTITIONS)]
    )
    assert assert_adds_up(pipeline) >= 7
