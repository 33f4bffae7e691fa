"""Which ClickHouse a worker may write to, given what Kafka and the group say."""

from collections.abc import Mapping

import pytest

from aggregator.core.holdings import Held, Present, gone, must_empty, why_not
from schemas.topic_identity import uneven
from schemas.topic_lives import Cluster, TopicLife, differences, read_metadata

LEDGER = TopicLife("ledger", "id-1", 2)
AT_10 = {("ledger", 0): 10, ("ledger", 1): 0}


def held(offsets: Mapping[tuple[str, int], int], *, state: str = "whole", life: TopicLife = LEDGER) -> Held:
    return Held("cluster", state, 3, [life], dict(offsets))  # type: ignore[arg-type]  # a state


def present(
    committed: Mapping[tuple[str, int], int],
    *,
    life: TopicLife = LEDGER,
    cluster: str = "cluster",
    ends: Mapping[tuple[str, int], int] | None = None,
) -> Present:
    return Present(Cluster(cluster, {life.name: life}), {}, ends or {("ledger", 0): 10, ("ledger", 1): 0}, committed)


NOTHING = Held("", "nothing", 0, [], {})


@pytest.mark.parametrize(
    ("holds", "has"),
    [
        (NOTHING, present({})),
        (held(AT_10), present(AT_10)),
        (held(AT_10), present({("ledger", 0): 4})),  # A crash came between the rows and the commit.
        (held(AT_10), present(AT_10, life=TopicLife("ledger", "id-1", 3))),  # Partitions were added.
        (held(AT_10), present({})),  # The broker has forgotten the group's offsets.
    ],
)
def test_what_fits_is_accepted(holds: Held, has: Present) -> None:
    """A ClickHouse is accepted that holds these topics at least as far as the group has read them."""
    assert why_not(holds, has) is None


@pytest.mark.parametrize(
    ("holds", "has", "reason"),
    [
        (NOTHING, present(AT_10), "lacks what the group has read: it holds ledger/0 up to offset 0, .* at 10"),
        (held({("ledger", 0): 9}), present(AT_10), "holds ledger/0 up to offset 9, .* at 10"),
        (held(AT_10), present(AT_10, life=TopicLife("ledger", "id-2", 2)), "ledger was deleted and created again"),
        (held(AT_10), present(AT_10, life=TopicLife("ledger", "id-1", 1)), "had 2 partitions and has 1"),
        (held(AT_10), present(AT_10, cluster="other"), "the cluster was cluster and is other"),
        (held(AT_10), present(AT_10, life=TopicLife("else", "id-1", 2)), "ledger does not exist"),
        (held(AT_10), present({}, ends={("ledger", 0): 7}), "ends at offset 7, and was read up to 10"),
        (held(AT_10), present({("ledger", 0): 12}), "ends at offset 10, and was read up to 12"),
        (held(AT_10, state="emptying"), present(AT_10), "rebuild of ClickHouse is not finished"),
        (held(AT_10, state="filling"), present(AT_10), "rebuild of ClickHouse is not finished"),
    ],
)
def test_what_contradicts_is_refused_with_the_way_on(holds: Held, has: Present, reason: str) -> None:
    """A ClickHouse of other topics, or one that lacks what was read, is refused, and the sentence names the command."""
    with pytest.raises(AssertionError, match=reason + ".*run `python -m aggregator rebuild`"):
        raise AssertionError(why_not(holds, has))


def test_a_rebuild_keeps_rows_of_these_topics_only() -> None:
    """A rebuild goes on after rows of the same life of the topics, and deletes all others first."""
    assert not must_empty(held({("ledger", 0): 4}), present(AT_10))
    assert not must_empty(held({("ledger", 0): 4}, state="filling"), present(AT_10))
    assert must_empty(held(AT_10, state="emptying"), present(AT_10))
    assert must_empty(held(AT_10), present(AT_10, life=TopicLife("ledger", "id-2", 2)))
    assert must_empty(held({("ledger", 0): 11}), present(AT_10))
    assert must_empty(NOTHING, present(AT_10))
    other = present(AT_10, life=TopicLife("ledger", "id-2", 2))
    assert not must_empty(held({}), other, keeps=True)
    assert must_empty(held(AT_10, state="emptying"), other, keeps=True)


def test_deleted_records_are_lost_only_where_clickhouse_lacks_them() -> None:
    """A rebuild names the offsets that Kafka has deleted and ClickHouse does not hold, and no others."""
    has = Present(Cluster("cluster", {}), {("ledger", 0): 10, ("ledger", 1): 5, ("ledger", 2): 0}, {}, {})
    assert gone({("ledger", 0): 10, ("ledger", 1): 2}, has) == [(("ledger", 1), 2, 4)]


def test_topics_must_have_one_number_of_partitions() -> None:
    """Topics with different numbers of partitions are refused, because a workspace's number must be the same."""
    assert uneven({"ledger": 4, "chat-events": 4}) is None
    reason = uneven({"ledger": 4, "chat-events": 4, "wallet-inputs": 6})
    assert reason is not None
    assert "have 4: ledger, chat-events; 6: wallet-inputs" in reason


def test_an_id_that_no_broker_gave_is_not_compared() -> None:
    """A broker without topic ids is compared by numbers of partitions alone."""
    assert differences([TopicLife("ledger", "", 2)], Cluster("", {"ledger": LEDGER})) == []


def test_an_answer_that_breaks_off_is_an_error() -> None:
    """Half an answer is no answer without topics."""
    with pytest.raises(ValueError, match="breaks off"):
        read_metadata(b"\0\0\0\0\2\0\0")
