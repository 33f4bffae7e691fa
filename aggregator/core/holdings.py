"""Holdings: which life of the topics ClickHouse holds, up to which offsets, and whether Kafka contradicts that.

A ClickHouse of other topics, or one that lacks rows that the group has read, would stay wrong for ever without a sign:
the group never reads those records again. So a worker compares before it writes (docs/adr/0022).
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from aggregator.core.tables import Column, Table
from schemas.topic_lives import Cluster, TopicLife, differences

State = Literal["nothing", "emptying", "filling", "whole"]
"""nothing: no worker has written yet; emptying, filling: a rebuild is unfinished; whole: workers may write."""

TOPICS_HELD: Final = Table(
    "topics_held",
    ("topic",),
    (
        Column("topic", "LowCardinality(String)", "name"),
        Column("cluster_id", "String", "cluster_id", on_carrier=True),
        Column("topic_id", "String", "topic_id"),
        Column("partitions", "Int32", "partitions"),
        Column("state", "LowCardinality(String)", "state", on_carrier=True),
        Column("version", "UInt64", "version", on_carrier=True),
    ),
)

OFFSETS_HELD: Final = Table(
    "offsets_held",
    ("topic", "topic_id", "partition"),
    (
        Column("topic", "LowCardinality(String)", "topic"),
        Column("topic_id", "String", "topic_id"),
        Column("partition", "Int32", "partition"),
        Column("next_offset", "Int64", "version"),
        Column("version", "UInt64", "version"),
    ),
)

HOLDING_TABLES: Final = (TOPICS_HELD, OFFSETS_HELD)

REBUILD: Final = "run `python -m aggregator rebuild`"
_OTHER_DATABASE: Final = "or set CLICKHOUSE_DSN to the database that belongs to these topics"

Partition = tuple[str, int]


class HeldState(msgspec.Struct, frozen=True):
    """The carrier of a row of `topics_held`."""

    cluster_id: str
    state: State
    version: int


class OffsetHeld(msgspec.Struct, frozen=True):
    """All records of a partition before the offset `version` are in the tables."""

    topic: str
    topic_id: str
    partition: int
    version: int


class Held(msgspec.Struct, frozen=True):
    """The holdings of ClickHouse. `offsets` are those of these lives of the topics only."""

    cluster_id: str
    state: State
    version: int
    lives: list[TopicLife]
    offsets: dict[Partition, int]


class Present(msgspec.Struct, frozen=True):
    """The topics that Kafka has, and of each partition the oldest offset, the end, and the group's offset if any."""

    cluster: Cluster
    beginnings: Mapping[Partition, int]
    ends: Mapping[Partition, int]
    committed: Mapping[Partition, int]


def why_not(held: Held, present: Present) -> str | None:
    """The sentence that refuses a worker, without a period; None if ClickHouse and Kafka fit each other."""
    if held.state in ("emptying", "filling"):
        return f"a rebuild of ClickHouse is not finished: {REBUILD} again, which goes on where it ended"
    if reasons := other_life(held, present):
        return f"ClickHouse holds other topics than Kafka has ({reasons}): {REBUILD}, {_OTHER_DATABASE}"
    for partition, end in sorted(present.ends.items()):
        name = "/".join(map(str, partition))
        read, has = present.committed.get(partition, 0), held.offsets.get(partition, 0)
        if max(read, has) > end:
            return (
                f"{name} ends at offset {end}, and was read up to {max(read, has)}: Kafka has lost records since; "
                f"bring them back, or {REBUILD} from what Kafka still has"
            )
        if has < read:
            return (
                f"ClickHouse lacks what the group has read: it holds {name} up to offset {has}, "
                f"and the group is at {read}: {REBUILD}, {_OTHER_DATABASE}"
            )
    return None


def other_life(held: Held, present: Present) -> str:
    """Phrases that say how Kafka's topics differ from those held; empty if they do not, or if nothing is held."""
    reasons = differences(held.lives, present.cluster)
    if held.lives and held.cluster_id != present.cluster.cluster_id:
        reasons = [f"the cluster was {held.cluster_id} and is {present.cluster.cluster_id}", *reasons]
    return "; ".join(reasons)


def has_grown(held: Held, present: Present) -> bool:
    """Whether a topic has more partitions than it is held to have."""
    return any(life.partitions < present.cluster.topics[life.name].partitions for life in held.lives)


def must_empty(held: Held, present: Present, *, keeps: bool = False) -> bool:
    """Whether a rebuild has to begin with empty tables, because nothing in them can be relied on.

    With `keeps`, rows of an earlier life of the topics stay: wallets go on where they were, so versions still rise.
    """
    offsets = offsets_now(held, present)
    is_beyond = any(offsets.get(partition, 0) > end for partition, end in present.ends.items())
    is_other = held.state == "nothing" or bool(other_life(held, present))
    return held.state == "emptying" or is_beyond or (is_other and not keeps)


def offsets_now(held: Held, present: Present) -> dict[Partition, int]:
    """Return the offsets held of topics that still have the life that is held."""
    same = {life.name for life in held.lives if not differences([life], present.cluster)}
    return {partition: offset for partition, offset in held.offsets.items() if partition[0] in same}


def gone(held: Mapping[Partition, int], present: Present) -> list[tuple[Partition, int, int]]:
    """Return what a rebuild can no longer get: partition, first and last offset that are in neither of both."""
    found = []
    for partition, beginning in sorted(present.beginnings.items()):
        start = held.get(partition, 0)
        if beginning > start:
            found.append((partition, start, beginning - 1))
    return found
