"""What a stage has lost between its newest mark and its topic, and which settings of a topic break exactness."""

import pytest

from meter.kafka.topic_settings import differences
from meter.operations.cluster import Ends, Saved
from meter.operations.losses import CLOCKS_MS, Loss, Times, loss_of, plan_of
from meter.stage.mark import Life, Version, new_mark
from schemas.topic_identity import TopicIdentity
from schemas.topics import CHAT_EVENTS, CONVERSATION_STATE, LEDGER, TOPICS, WALLET_INPUTS

NOW = TopicIdentity("cluster", "id-1", 4)
STATE = TopicIdentity("cluster", "id-2", 4)
SAVED_MS = 1_000_000


def saved(offset: int, source: TopicIdentity = NOW) -> Saved:
    return Saved(Version(0, offset), new_mark(Life(0, source, STATE), -1, (), b""), SAVED_MS)


@pytest.mark.parametrize(
    ("newest", "now", "ends", "loss"),
    [
        (saved(9), NOW, Ends(0, 10), None),
        (saved(9), NOW, Ends(10, 10), None),
        (saved(9), TopicIdentity("cluster", "", 4), Ends(0, 10), None),
        (saved(9), NOW, Ends(12, 20), Loss("deleted", "chat-events", 1, 10, 11, 9)),
        (saved(9), NOW, Ends(2, 6), Loss("shorter", "chat-events", 1, 6, 9, 9, 2, SAVED_MS - CLOCKS_MS)),
        (saved(9), TopicIdentity("cluster", "id-3", 4), Ends(0, 50), Loss("another", "chat-events", 1, 10, 10, 9, 0)),
        (saved(9), TopicIdentity("other", "id-1", 4), Ends(3, 50), Loss("another", "chat-events", 1, 10, 10, 9, 3)),
    ],
)
def test_a_loss_follows_from_the_mark_and_the_log(
    newest: Saved, now: TopicIdentity, ends: Ends, loss: Loss | None
) -> None:
    """Deleted, shorter and other logs are losses of exactly the offsets that are gone; a log that fits is none."""
    assert loss_of("chat-events", 1, newest, now, ends) == loss


@pytest.mark.parametrize(
    ("ends", "epoch_end", "loss"),
    [
        (Ends(0, 10), 10, None),
        (Ends(0, 30), 10, None),
        (Ends(0, 30), 25, None),
        (Ends(0, 30), None, None),
        (Ends(0, 30), 9, Loss("replaced", "chat-events", 1, 9, 9, 9, 9)),
        (Ends(0, 8), 6, Loss("replaced", "chat-events", 1, 6, 9, 9, 6)),
        (Ends(0, 6), 6, Loss("shorter", "chat-events", 1, 6, 9, 9, 6)),
        (Ends(7, 30), 6, Loss("replaced", "chat-events", 1, 6, 9, 9, 7)),
        (Ends(12, 30), 12, Loss("deleted", "chat-events", 1, 10, 11, 9)),
    ],
)
def test_the_epoch_of_the_mark_tells_from_where_on_records_are_new(
    ends: Ends, epoch_end: int | None, loss: Loss | None
) -> None:
    """All of them and no others are copied: the log and the mark agree below that offset."""
    assert loss_of("chat-events", 1, saved(9), NOW, ends, epoch_end) == loss


def test_a_loss_that_is_being_accepted_is_found_as_it_was_planned() -> None:
    """The mark that is written meanwhile fits no topic, and gives the same loss however the log has changed."""
    loss = Loss("shorter", "chat-events", 1, 6, 9, 9, 2, 77, Times(70, 75))
    between = saved(10, plan_of(loss, NOW))
    assert not between.mark.life.source.is_same_life(NOW)
    assert loss_of("chat-events", 1, between, NOW, Ends(0, 500)) == loss


def test_the_times_of_a_loss_are_said_as_far_as_they_are_known() -> None:
    """Of a record that is deleted itself, or not there yet, there is no time."""
    assert Times(0, 1_000, 2_000).sentence == (
        "last record before: 1970-01-01T00:00:00.000Z, state saved: 1970-01-01T00:00:01.000Z, "
        "first record after: 1970-01-01T00:00:02.000Z"
    )
    assert Times().sentence == "last record before: not known, state saved: not known, first record after: none yet"


def test_our_own_settings_differ_in_nothing() -> None:
    """Topics as `meter topics` creates them are accepted."""
    for topic in TOPICS:
        assert differences(topic, topic.config) == []


@pytest.mark.parametrize(
    ("topic", "setting", "value", "breaks"),
    [
        (CHAT_EVENTS, "message.timestamp.type", "CreateTime", True),
        (CHAT_EVENTS, "retention.ms", "3600000", False),
        (CHAT_EVENTS, "max.message.bytes", "1048588", True),
        (WALLET_INPUTS, "retention.ms", "604800000", True),
        (LEDGER, "retention.bytes", "1000000", True),
        (LEDGER, "cleanup.policy", "compact", True),
        (CONVERSATION_STATE, "cleanup.policy", "compact,delete", True),
        (CONVERSATION_STATE, "min.compaction.lag.ms", "0", True),
        (LEDGER, "unclean.leader.election.enable", "true", False),
    ],
)
def test_a_setting_that_breaks_exactness_refuses_and_others_warn(
    topic: object, setting: str, value: str, breaks: bool
) -> None:
    """A setting that could make figures wrong is breaking; one that only limits what can be read again is not."""
    found = next(each for each in TOPICS if each == topic)
    (difference,) = differences(found, {**found.config, setting: value})
    assert (difference.setting, difference.found, difference.breaks) == (setting, value, breaks)
    assert f"{found.name} has {setting}={value}" in difference.sentence


def test_longer_and_larger_is_enough() -> None:
    """A topic that keeps more than ours, or takes larger records, is accepted."""
    assert differences(CHAT_EVENTS, {**CHAT_EVENTS.config, "retention.ms": "-1", "max.message.bytes": "99999999"}) == []
