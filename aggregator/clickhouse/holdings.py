"""Reading and writing what ClickHouse holds: the tables `topics_held` and `offsets_held`."""

from collections.abc import Iterable

from aggregator.clickhouse.client import ClickHouse
from aggregator.core.holdings import HOLDING_TABLES, Held, HeldState, OffsetHeld, State
from aggregator.core.rows import lives_block, offset_blocks
from aggregator.core.tables import TABLES
from schemas.topic_lives import Cluster, TopicLife


def read(clickhouse: ClickHouse) -> Held:
    """Read what ClickHouse holds now."""
    topics = clickhouse.query("SELECT topic, topic_id, partitions, cluster_id, state, version FROM topics_held FINAL")
    lives = [TopicLife(topic, topic_id, partitions) for topic, topic_id, partitions, *_ in topics]
    ids = {life.name: life.topic_id for life in lives}
    rows = clickhouse.query("SELECT topic, topic_id, partition, next_offset FROM offsets_held FINAL")
    offsets = {(topic, number): offset for topic, topic_id, number, offset in rows if ids.get(topic) == topic_id}
    if not topics:
        return Held("", "nothing", 0, [], {})
    *_, cluster_id, state, version = max(topics, key=lambda row: int(row[-1]))
    return Held(cluster_id, state, version, lives, offsets)


def hold(clickhouse: ClickHouse, cluster: Cluster, state: State, version: int) -> None:
    """Write that the tables belong to these lives of the topics, in this state. `version` is above all before."""
    clickhouse.insert(lives_block(HeldState(cluster.cluster_id, state, version), cluster.topics.values()))


def hold_offsets(clickhouse: ClickHouse, offsets: Iterable[OffsetHeld]) -> None:
    """Write up to which offsets the tables hold their partitions. Call it once their rows are there."""
    for block in offset_blocks(offsets):
        clickhouse.insert(block)


def empty(clickhouse: ClickHouse) -> None:
    """Delete all rows of all tables but `topics_held`, which says that this happens."""
    for table in (*TABLES, *HOLDING_TABLES[1:]):
        clickhouse.command(f"TRUNCATE TABLE {table.name}")
