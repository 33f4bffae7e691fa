"""The check at a worker's start that ClickHouse and Kafka belong to each other (docs/adr/0022)."""

from aggregator.clickhouse import holdings
from aggregator.clickhouse.client import ClickHouse
from aggregator.core.holdings import Present, has_grown, why_not


class HoldingsError(Exception):
    """ClickHouse does not hold what Kafka's topics and the group say. The message says what to do."""


def require_fit(clickhouse: ClickHouse, present: Present) -> None:
    """Raise HoldingsError unless a worker may write. A ClickHouse that holds nothing yet becomes that of these topics.

    Topics that have more partitions than before are the same ones: their rows stay, and the new partitions are read.

    `present` must be older than this call: a worker writes to ClickHouse before it commits an offset, so what is read
    from ClickHouse afterwards is never behind.
    """
    held = holdings.read(clickhouse)
    if reason := why_not(held, present):
        raise HoldingsError(reason)
    if held.state == "nothing" or has_grown(held, present):
        holdings.hold(clickhouse, present.cluster, "whole", held.version + 1)
