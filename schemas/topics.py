"""The one table of topics: name, what travels there, how it is keyed, kept and sized.

Every topic has the same number of partitions, so that one number says how far the product scales out. Everything of
one workspace travels in one partition of each topic: records are keyed by workspace_id (docs/adr/0003).
"""

from collections.abc import Collection, Iterable
from typing import Final

import msgspec

MAX_RECORD_BYTES: Final = 32 * 1024 * 1024
"""The largest record the product writes: a dead letter carries the refused record whole."""


class Topic(msgspec.Struct, frozen=True):
    """One topic. `config` holds Kafka's own topic settings; `reader` is the consumer group that drains it."""

    name: str
    purpose: str
    reader: str | None
    config: dict[str, str]


METER_GROUP: Final = "meter"
AGGREGATOR_GROUP: Final = "aggregator"

_FOR_EVER = {"cleanup.policy": "delete", "retention.ms": "-1", "max.message.bytes": str(MAX_RECORD_BYTES)}
_TWO_WEEKS = _FOR_EVER | {"retention.ms": str(14 * 86_400_000)}
# An event is in the future if it is ahead of its arrival, and arrival is told by the broker's clock, not the runtime's.
_EVENTS = _TWO_WEEKS | {"message.timestamp.type": "LogAppendTime"}
# Whether a replay has begun just now is judged by the broker's clock, one for all operators.
_REPLAYS = _FOR_EVER | {"message.timestamp.type": "LogAppendTime"}
# A paused worker that was superseded may still write an old state record after a newer one. Readers take the one of
# the highest offset, so compaction, which keeps the last, has to lag behind any such pause.
_COMPACTED = {
    "cleanup.policy": "compact",
    "min.compaction.lag.ms": str(6 * 3_600_000),
    # Small segments, because the newest one is never compacted and all of it is read at a restore.
    "segment.bytes": str(64 * 1024 * 1024),
    "segment.ms": str(3_600_000),
    "max.message.bytes": str(MAX_RECORD_BYTES),
}

CHAT_EVENTS: Final = Topic("chat-events", "chat events as the bot runtimes wrote them", METER_GROUP, _EVENTS)
WALLET_INPUTS: Final = Topic("wallet-inputs", "account commands, and what was metered", METER_GROUP, _FOR_EVER)
LEDGER: Final = Topic("ledger", "pages: entries, conversations, usage and balance", AGGREGATOR_GROUP, _FOR_EVER)
DEAD_LETTERS: Final = Topic("dead-letters", "refused records, whole, each with its reason", AGGREGATOR_GROUP, _FOR_EVER)
REPLAYS: Final = Topic("replays", "dead letters that were put back: what, and where", None, _REPLAYS)
EVENT_COUNTS: Final = Topic("event-counts", "counts, for reconciliation", AGGREGATOR_GROUP, _TWO_WEEKS)
CONVERSATION_STATE: Final = Topic("conversation-state", "checkpoints of the sessionizer", None, _COMPACTED)
WALLET_STATE: Final = Topic("wallet-state", "checkpoints of the wallets", None, _COMPACTED)

TOPICS: Final = (
    CHAT_EVENTS,
    WALLET_INPUTS,
    LEDGER,
    DEAD_LETTERS,
    REPLAYS,
    EVENT_COUNTS,
    CONVERSATION_STATE,
    WALLET_STATE,
)


def missing_topics(wanted: Iterable[Topic], existing: Collection[str]) -> str | None:
    """The sentence for topics that do not exist, in the order of `wanted`; None if all exist."""
    missing = [topic.name for topic in wanted if topic.name not in existing]
    if not missing:
        return None
    return f"the topics {', '.join(missing)} do not exist: run `python -m meter topics` first"


def no_broker(bootstrap: str) -> str:
    """The sentence for a broker that does not answer at `bootstrap`."""
    return f"no Kafka broker answers at {bootstrap}: start it, or set KAFKA_BOOTSTRAP_SERVERS to where it is"
