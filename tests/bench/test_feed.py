"""The feed is what the bench says of it: 7.5 messages a conversation, uniform keys, 250 bytes, in order of time."""

from collections import Counter
from typing import NamedTuple

import pytest

from schemas.events import Message, decode_event
from tests.bench.feed import Event, Feed, Truth
from tests.feeds.lines import millis
from tests.oracle.oracle import meter

KEYS = 400
EVENTS = 40_000
NOW_MS = millis(2026, 9, 1)


class Drawn(NamedTuple):
    """A feed that was gone through."""

    events: list[Event]
    truth: Truth


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    feed = Feed(KEYS, EVENTS, seed=3)
    return Drawn(list(feed), feed.truth)


def test_a_conversation_has_seven_and_a_half_messages(drawn: Drawn) -> None:
    """On average, as exp(15 / 7.44) has it; what the feed counts is what the oracle finds in it."""
    assert 7.2 < EVENTS / drawn.truth.conversations < 7.8
    result = meter([event.value for event in drawn.events], NOW_MS)
    assert len(result.chains) == drawn.truth.conversations
    assert len(result.conversations) == drawn.truth.billable
    assert not result.dead_letters


def test_keys_are_uniform(drawn: Drawn) -> None:
    """Each of them sends its share, within five deviations of chance; all of one go to one Kafka key, its workspace."""
    users = Counter(message.data.channel_user_id for message in _messages(drawn))
    share = EVENTS / KEYS
    assert len(users) == KEYS == drawn.truth.keys_seen
    assert all(abs(count - share) < 5 * share**0.5 for count in users.values())
    assert all(event.key.decode() in event.value.decode() for event in drawn.events[:100])


def test_events_are_small_unique_and_in_order(drawn: Drawn) -> None:
    """About 250 bytes each, no two of one id, none before its predecessor, all in the past."""
    assert 240 < drawn.truth.value_bytes / EVENTS < 260
    messages = _messages(drawn)
    times = [message.time for message in messages]
    assert times == sorted(times)
    assert times[-1].timestamp() * 1000 < NOW_MS
    assert len({message.id for message in messages}) == EVENTS


def test_a_seed_makes_one_feed(drawn: Drawn) -> None:
    """And another seed another one."""
    assert list(Feed(KEYS, 100, seed=3)) == drawn.events[:100]
    assert list(Feed(KEYS, 100, seed=4)) != drawn.events[:100]


def _messages(drawn: Drawn) -> list[Message]:
    found = [decode_event(event.value) for event in drawn.events]
    messages = [event for event in found if isinstance(event, Message)]
    assert len(messages) == EVENTS
    return messages
