"""Whether a repartition may begin: each case that cannot be is refused with a sentence that names the way on."""

import pytest

from meter.charger.state import Mark as WalletsMark
from meter.charger.state import encode as encode_wallets
from meter.core.policy import Policy, PolicyInForce
from meter.core.wallet.source import Source
from meter.operations.cluster import OperationError, Saved
from meter.operations.repartition.checks import check_clocks, check_drained, planned
from meter.operations.repartition.draining import Marks
from meter.operations.repartition.routes import Routes
from meter.operations.stages import STAGES
from meter.sessionizer.sessionizer import Mark as SessionsMark
from meter.sessionizer.sessionizer import encode_mark as encode_sessions
from meter.stage.mark import Life, Version, new_mark
from schemas.layout import LayoutRecord
from schemas.topic_identity import TopicIdentity
from schemas.topics import CHAT_EVENTS, CONVERSATION_STATE, TOPICS, WALLET_STATE
from tests.feeds.lines import DAY_MS

FOUR = LayoutRecord(generation=2, partitions=4)
BEGUN = LayoutRecord(generation=3, partitions=6, before=4, step="begun")
NO_MARKS: Marks = {stage.state.name: {} for stage in STAGES}
START = 20_000 * DAY_MS


def topics(partitions: int, **others: int) -> dict[str, TopicIdentity]:
    """All topics with so many partitions; some with others, by name with `_` for `-`."""
    counts = {topic.name: partitions for topic in TOPICS} | {
        name.replace("_", "-"): count for name, count in others.items()
    }
    return {name: TopicIdentity("cluster", name, count) for name, count in counts.items()}


def saved(state: str, fold: bytes, *, generation: int = 0, partitions: int = 4, topic_id: str = "") -> Saved:
    source = next(stage.source.name for stage in STAGES if stage.state.name == state)
    life = Life(
        generation,
        TopicIdentity("cluster", topic_id or source, partitions),
        TopicIdentity("cluster", state, partitions),
    )
    return Saved(Version(generation, 9), new_mark(life, -1, (), fold), 0)


def spoken(at_ms: int, *, arrived_ms: int = START + 90 * DAY_MS, version: int = 1, topic_id: str = "") -> Saved:
    mark = SessionsMark(at_ms, in_force=PolicyInForce(policy=Policy(), version=version), arrived_ms=arrived_ms)
    return saved(CONVERSATION_STATE.name, encode_sessions(mark), topic_id=topic_id)


def heard(newest_offset: int = 9, version: int = 1) -> Saved:
    source = Source(newest_offset=newest_offset)
    mark = WalletsMark(source, in_force=PolicyInForce(policy=Policy(), version=version))
    return saved(WALLET_STATE.name, encode_wallets(mark))


def marks(conversations: dict[int, Saved], wallets: dict[int, Saved] | None = None) -> Marks:
    return NO_MARKS | {CONVERSATION_STATE.name: conversations, WALLET_STATE.name: wallets or {}}


def test_partitions_that_are_missing_are_added_under_the_next_generation() -> None:
    """Those that an operator has added count. Without a layout, the marks say how many there were."""
    found = planned(FOUR, topics(4, chat_events=6, ledger=5), NO_MARKS, 6)
    assert found.layout == BEGUN
    assert found.added == {topic.name: 4 for topic in TOPICS if topic.name not in ("chat-events", "ledger")} | {
        "ledger": 5
    }
    begins = LayoutRecord(generation=1, partitions=6, before=4, step="begun")
    assert planned(None, topics(6), marks({1: spoken(START)}), 6) == (begins, {})
    assert planned(FOUR, topics(4), NO_MARKS, 4) == (None, {})
    assert planned(BEGUN, topics(6), NO_MARKS, 6) == (BEGUN, {})


@pytest.mark.parametrize(
    ("layout", "partitions", "after", "sentence"),
    [
        (FOUR, topics(4), 3, "the topics have 4 partitions, and Kafka takes none away: give --to 4 or more"),
        (FOUR, topics(4, replays=8), 6, "replays has 8 partitions, and Kafka takes none away: give --to 8 or more"),
        (FOUR, topics(4, ledger=1), 4, "ledger must have 4 partitions like the state, and have fewer"),
        (BEGUN, topics(6), 8, "from 4 to 6 partitions has begun .* `python -m meter repartition --to 6 --yes`"),
    ],
)
def test_what_cannot_be_is_refused(
    layout: LayoutRecord, partitions: dict[str, TopicIdentity], after: int, sentence: str
) -> None:
    """Fewer partitions, fewer than a topic has, a topic that was created again, and another number than was begun."""
    with pytest.raises(OperationError, match=sentence):
        planned(layout, partitions, NO_MARKS, after)


def test_topics_of_another_life_are_refused() -> None:
    """The loss of the former records has to be accepted first."""
    with pytest.raises(OperationError, match=r"deleted and created again .* `python -m meter accept-loss`"):
        planned(FOUR, topics(4), marks({0: spoken(START, topic_id="another")}), 8)


def test_a_partition_of_old_events_is_not_merged_with_one_far_ahead() -> None:
    """Its next events would be late. A multiple of the old number merges nothing; present events are late nowhere."""
    old, ahead = spoken(START), spoken(START + DAY_MS + 1)
    with pytest.raises(OperationError, match=f"{CHAT_EVENTS.name}/0 holds old events, .*multiple of 2, or --advance"):
        check_clocks(marks({0: old, 1: ahead}), Routes(2, 3, 1))
    check_clocks(marks({0: old, 1: ahead}), Routes(2, 4, 1))
    check_clocks(marks({0: old, 1: spoken(START + DAY_MS)}), Routes(2, 3, 1))
    check_clocks(marks({0: spoken(START, arrived_ms=START + DAY_MS - 1), 1: ahead}), Routes(2, 3, 1))
    check_clocks(marks({1: ahead}), Routes(2, 3, 1))


def test_what_is_not_at_rest_is_refused() -> None:
    """A policy under way, and events that were charged and are not saved."""
    newest = PolicyInForce(policy=Policy(), version=2)
    at_rest = marks({0: spoken(START, version=2)}, {0: heard(version=2)})
    check_drained(at_rest, 1, newest)
    with pytest.raises(OperationError, match="a policy has not passed every partition yet"):
        check_drained(at_rest, 2, newest)
    with pytest.raises(OperationError, match="chat-events/0 was charged beyond what is saved of it"):
        check_drained(marks({0: spoken(START)}, {0: heard(10)}), 1, PolicyInForce(policy=Policy()))
