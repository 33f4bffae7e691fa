"""The sessionizer, and both stages behind it, against one slow pass over the sorted feed."""

from collections import Counter
from dataclasses import replace
from itertools import permutations
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core.decode import read
from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.core.sessions.conversations import Interaction, InteractionKey
from meter.core.sessions.outcomes import Conflict, ConversationTouched, Duplicate, Outcome
from meter.core.sessions.sessionize import Sessions
from meter.core.sessions.state_codec import pack_bucket, unpack_bucket
from schemas.events import decode_event
from schemas.ledger import ConversationFact
from tests.oracle.oracle import Result, Usage, meter
from tests.properties.pipeline import Turn, metered
from tests.properties.view import View
from tests.properties.worlds import (
    GAP,
    HORIZON,
    NOW,
    POLICY,
    START,
    STEP,
    WHO,
    Arrival,
    arranged,
    chat,
    feeds,
    times,
    turns,
)

FUTURE = 5 * 60_000


def expected(lines: list[bytes]) -> Result:
    return meter(lines, NOW, horizon_ms=HORIZON)


def undivided(usage: dict[tuple[str, str, str], Usage]) -> dict[tuple[str, str, str], Usage]:
    """Usage without who paid: free and paid charges as one. Which lot pays follows the order of arrival."""
    return {
        key: replace(row, charged_free=0, charged_paid=row.charged_free + row.charged_paid)
        for key, row in usage.items()
    }


def chains(result: Result, *, billable: bool) -> Counter[tuple[object, ...]]:
    """The oracle's conversations in the words of the view."""
    return Counter(
        (chain.key, chain.first, chain.last, chain.messages, chain.requests, chain.sessions)
        for chain in result.chains
        if chain.billable is billable
    )


def assert_as_expected(view: View, lines: list[bytes]) -> None:
    """Conversations, billable or not, and usage with the total charge of each bot's day."""
    result = expected(lines)
    assert view.chains(billable=True) == chains(result, billable=True)
    assert view.chains(billable=False) == chains(result, billable=False)
    assert undivided(view.daily()) == undivided(result.daily)
    assert (view.dead, result.dead_letters) == ({}, [])


@given(feeds, turns)
def test_order_repeats_splits_and_crashes_do_not_matter(lines: list[bytes], taken: list[Turn]) -> None:
    """DOMAIN, Metering 5: any order within the horizon, any duplicates, any batches, checkpoints, crashes and zombies
    give the conversations and the usage of one pass over the sorted, deduplicated events."""
    assert_as_expected(metered(lines, NOW, taken, POLICY), lines)


@given(feeds, turns, turns)
def test_ids_do_not_depend_on_batches_and_crashes(lines: list[bytes], one: list[Turn], other: list[Turn]) -> None:
    """A conversation's id, and which one absorbed it, follow from the log of events alone."""

    def identities(view: View) -> dict[object, ConversationFact]:
        return {key: _undivided_fact(fact) for key, fact in view.conversations.items()}

    assert identities(metered(lines, NOW, one, POLICY)) == identities(metered(lines, NOW, other, POLICY))


def _undivided_fact(fact: ConversationFact) -> ConversationFact:
    total = fact.charged_free_micros + fact.charged_paid_micros
    return msgspec.structs.replace(fact, charged_free_micros=0, charged_paid_micros=total)


BRIDGES = (GAP, GAP + 1, 2 * GAP - 1, 2 * GAP, 2 * GAP + 1)


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("span", BRIDGES)
@pytest.mark.parametrize("records", [1, 2, 3])
def test_a_bridge_joins_whatever_the_order(order: tuple[int, ...], span: int, records: int) -> None:
    """Metering 5: three messages, the middle one a gap after the first, are one conversation up to two gaps, and two
    beyond; the id is that of the first of them to arrive, and what is not needed any more is reversed."""
    spoken = [chat(START + at, f"e-{number}", WHO[0]) for number, at in enumerate((0, min(span, GAP), span))]
    lines = arranged([Arrival(place, spoken[number]) for place, number in enumerate(order)])
    view = metered(lines, NOW, [Turn(records=records, partition=p, feed=9) for p in (0, 1)] * 3, POLICY)
    assert_as_expected(view, lines)
    live = [fact for fact in view.conversations.values() if fact.state != "absorbed"]
    absorbed = [fact for fact in view.conversations.values() if fact.state == "absorbed"]
    assert len(live) == (1 if span <= 2 * GAP else 2)
    assert all(fact.absorbed_into in {each.conversation_id for each in live} for fact in absorbed)
    assert all(fact.charged_free_micros + fact.charged_paid_micros == 0 for fact in absorbed)
    assert sum(fact.charged_free_micros + fact.charged_paid_micros for fact in live) == 200_000 * len(live)
    assert {fact.opened_ms for fact in absorbed + live} <= {START, START + min(span, GAP), START + span}


# Classification, line by line.

ARRIVED = START + 4 * HORIZON
"""When Kafka receives every line of these feeds: some of their times are in the future of it."""

wide_times = times | st.sampled_from(
    [ARRIVED + FUTURE + off for off in (-1, 0, 1)]
    + [START - HORIZON + off for off in (-1, 0, 1)]
    + [START + 2 * HORIZON]
)


@st.composite
def unruly(draw: st.DrawFn) -> list[bytes]:
    """Events in any order at all, some under an id taken before: the same again, or another that is not newer than all
    before it."""
    drawn = draw(st.lists(st.tuples(wide_times, st.sampled_from(WHO), st.integers(0, 9)), min_size=1, max_size=25))
    lines, taken, newest = [], set[tuple[str, int]](), 0
    for at, who, number in drawn + draw(st.lists(st.sampled_from(drawn), max_size=10)):
        if (who[0], number) in taken and at <= ARRIVED + FUTURE:
            at = min(at, newest)
        taken.add((who[0], number))
        newest = max(newest, at) if at <= ARRIVED + FUTURE else newest
        lines.append(chat(at, f"e-{number}", who, actor="user" if number % 2 else "bot"))
    return lines


def classes(lines: list[bytes], restarts: set[int], policy: Policy = POLICY) -> list[str]:
    """What becomes of each line; after those in `restarts` another process goes on from a checkpoint."""
    sessions = Sessions(policy)
    found = []
    for number, text in enumerate(lines):
        event = read(text, decode_event)
        found.append(_name(event if isinstance(event, Rejected) else sessions.step(event, ARRIVED)))
        list(sessions.advance())
        if number in restarts:
            sessions = restarted(sessions)
    return found


def restarted(sessions: Sessions) -> Sessions:
    """The sessions that another process restores from their checkpoint."""
    again = Sessions(sessions.policy, sessions.watermark_ms)
    buckets = {number: unpack_bucket(pack_bucket(each.ids)) for number, each in sessions.accepted.buckets.items()}
    again.restore(_decode(_encode(sessions.interactions)), buckets)
    return again


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[InteractionKey, Interaction]).decode


def _name(outcome: Outcome) -> str:
    match outcome:
        case Rejected(code=code):
            return code
        case Duplicate() | Conflict():
            return type(outcome).__name__.lower()
    return "accepted"


def oracle_classes(lines: list[bytes]) -> list[str]:
    result = meter(lines, ARRIVED, horizon_ms=HORIZON)
    found = ["accepted"] * len(lines)
    for letter in result.dead_letters:
        found[letter.line] = letter.code
    for number in result.duplicates:
        found[number] = "duplicate"
    for number in result.conflicts:
        found[number] = "conflict"
    return found


@patch("meter.core.sessions.accepted_ids.BUCKET_IDS", 2)
@given(unruly(), st.sets(st.integers(0, 25)))
def test_late_future_repeated_and_contradicted_are_told_apart(lines: list[bytes], restarts: set[int]) -> None:
    """DOMAIN, Metering 6 and 7, at every boundary: each line is what the oracle says, with restores on the way."""
    assert classes(lines, restarts) == oracle_classes(lines)


@pytest.mark.parametrize("restarts", [set(), {0}, {1}, {2}])
@pytest.mark.parametrize(
    ("behind", "found"), [(HORIZON - 1, "duplicate"), (HORIZON, "duplicate"), (HORIZON + 1, "late")]
)
def test_an_id_is_known_as_long_as_its_event_is_in_reach(restarts: set[int], behind: int, found: str) -> None:
    """Metering 7: a repeat is one until it is too late to be accepted at all; also after a restore in between."""
    once = chat(START, "e", WHO[0])
    lines = [once, chat(START + behind - GAP - 1, "other", WHO[0]), chat(START + behind, "newest", WHO[1]), once]
    assert classes(lines, restarts) == ["accepted", "accepted", "accepted", found]


@pytest.mark.parametrize("restarts", [set(), {0, 1, 2}])
def test_a_conversation_is_known_as_long_as_a_message_may_join_it(restarts: set[int]) -> None:
    """One whose last message is out of reach may still be joined by one that is just within it."""
    sessions, joined = Sessions(POLICY), []
    ends = START + HORIZON + STEP
    times = (START, ends - GAP - 1, ends, ends - HORIZON)
    for number, (at, who) in enumerate(zip(times, (WHO[0], WHO[0], WHO[1], WHO[0]), strict=True)):
        outcome = sessions.step(read(chat(at, f"e-{number}", who), decode_event), NOW)  # type: ignore[arg-type]
        assert isinstance(outcome, ConversationTouched)
        joined.append(outcome.conversation.conversation_id)
        list(sessions.advance())
        if number in restarts:
            sessions = restarted(sessions)
    assert joined[3] == joined[0]


def test_a_contradicting_event_tells_the_time_too() -> None:
    """Metering 6: late is later than the newest event; that the newest was not counted makes it no older."""
    newer = chat(START + HORIZON + 1, "e", WHO[0])
    lines = [chat(START + 1, "e", WHO[0]), newer, chat(START, "late", WHO[0])]
    assert classes(lines, set()) == oracle_classes(lines) == ["accepted", "conflict", "late"]


def test_an_id_is_free_again_once_its_event_is_out_of_reach() -> None:
    """Metering 5 and 7: when an id is forgotten follows from event time, not from where a batch ends."""
    again = chat(START + HORIZON, "e", WHO[0], actor="bot")
    lines = [chat(START, "e", WHO[0]), chat(START + HORIZON + 1, "newest", WHO[1]), again]
    assert classes(lines, set()) == classes(lines, {1}) == oracle_classes(lines) == ["accepted"] * 3


@pytest.mark.parametrize(("behind", "found"), [(HORIZON - 1, "accepted"), (HORIZON, "accepted"), (HORIZON + 1, "late")])
def test_the_horizon_to_the_millisecond(behind: int, found: str) -> None:
    """Metering 6: later than the horizon, not at it."""
    lines = [chat(START, "newest", WHO[0]), chat(START - behind, "old", WHO[0])]
    assert classes(lines, set()) == ["accepted", found]


@pytest.mark.parametrize(("ahead", "found"), [(FUTURE - 1, "accepted"), (FUTURE, "accepted"), (FUTURE + 1, "future")])
def test_the_future_to_the_millisecond(ahead: int, found: str) -> None:
    """Metering 6: more than 5 minutes ahead of its arrival, not at 5 minutes."""
    assert classes([chat(ARRIVED + ahead, "e", WHO[0])], set()) == [found]


def test_what_was_refused_leaves_no_trace() -> None:
    """A future event neither moves event time nor takes its id."""
    lines = [chat(ARRIVED + FUTURE + 1, "e", WHO[0]), chat(START, "e", WHO[0])]
    assert classes(lines, {0}) == ["future", "accepted"]


@patch("meter.core.sessions.accepted_ids.BUCKET_IDS", 8)
def test_a_week_leaves_no_more_state_than_a_day() -> None:
    """State older than the horizon is forgotten: at steady load it does not grow."""
    sessions = Sessions(POLICY)
    sizes = []
    for number in range(7 * 24 * 12):
        who = (*WHO[0][:3], f"u-{number}")
        event = read(chat(START + number * STEP, f"e-{number}", who), decode_event)
        assert not isinstance(event, Rejected)
        sessions.step(event, NOW)
        list(sessions.advance())
        sizes.append(len(sessions.interactions) + len(sessions.accepted) + len(sessions._due))
    assert max(sizes) <= 4 * (HORIZON + GAP) // STEP
    assert sizes[-1] <= sizes[24 * 12] + 8, "a bucket more or less is open"
