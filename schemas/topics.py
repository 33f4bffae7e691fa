"""The table of all topics: name, purpose, reader and Kafka settings.

Every topic has the same number of partitions. That number bounds how many workers can share the load. Records of
chat-events, wallet-inputs and ledger are keyed by workspace_id, so one partition holds all of a workspace
(docs/adr/0003). Outsiders write chat-events and account-commands, under any key; what lies in another partition than
its workspace's is moved (docs/adr/0017). All other topics are written by the product alone.
"""

from collections.abc import Collection, Iterable
from typing import Final

import msgspec

MAX_RECORD_BYTES: Final = 32 * 1024 * 1024
"""The largest record that the product writes. A dead letter of a larger one is shortened."""


class Topic(msgspec.Struct, frozen=True):
    """One topic. `config` holds Kafka's topic settings. `reader` is the consumer group that reads it, or None."""

    name: str
    purpose: str
    reader: str | None
    config: dict[str, str]


METER_GROUP: Final = "meter"
AGGREGATOR_GROUP: Final = "aggregator"
NOTIFY_GROUPS: Final = "notify-"
"""How the names of the groups that read notices begin: one for mail, and one for each endpoint of webhooks."""
NOTIFY_MAIL_GROUP: Final = f"{NOTIFY_GROUPS}mail"
PAYMENTS_GROUP: Final = "payments"

_FOR_EVER = {"cleanup.policy": "delete", "retention.ms": "-1", "max.message.bytes": str(MAX_RECORD_BYTES)}
_TWO_WEEKS = _FOR_EVER | {"retention.ms": str(14 * 86_400_000)}
_NINETY_DAYS = _FOR_EVER | {"retention.ms": str(90 * 86_400_000)}
# An event is refused if its time is too far ahead of its arrival. The broker's clock sets the arrival, not a runtime's.
_EVENTS = _TWO_WEEKS | {"message.timestamp.type": "LogAppendTime"}
# A purchase is refused in the same way.
_INPUTS = _FOR_EVER | {"message.timestamp.type": "LogAppendTime"}
# How long ago a replay began is measured by the broker's clock, because the clocks of operators differ.
_REPLAYS = _FOR_EVER | {"message.timestamp.type": "LogAppendTime"}
# How long after its event a notice was written is judged by the broker's clock.
_NOTICES = _FOR_EVER | {"message.timestamp.type": "LogAppendTime", "retention.ms": str(90 * 86_400_000)}
# A receipt must outlive its notice, or the notice could be sent twice. Kafka deletes whole segments, and one may begin
# a week before its last record: so a notice can lie there for a week longer than its time.
_DELIVERIES = _FOR_EVER | {"retention.ms": str(120 * 86_400_000)}
# A worker that was paused and superseded may still write an old state record after a newer one. A restore uses the
# record with the highest input offset, but compaction keeps the last one written. So compaction must wait longer than
# any such pause.
_COMPACTED = {
    "cleanup.policy": "compact",
    "min.compaction.lag.ms": str(6 * 3_600_000),
    # Segments are small because Kafka never compacts the newest one, and a restore reads all of it.
    "segment.bytes": str(64 * 1024 * 1024),
    "segment.ms": str(3_600_000),
    "max.message.bytes": str(MAX_RECORD_BYTES),
}

CHAT_EVENTS: Final = Topic("chat-events", "chat events as the bot runtimes wrote them", METER_GROUP, _EVENTS)
ACCOUNT_COMMANDS: Final = Topic("account-commands", "account commands from outside the product", METER_GROUP, _EVENTS)
WALLET_INPUTS: Final = Topic("wallet-inputs", "account commands, metered updates, safe points", METER_GROUP, _INPUTS)
LEDGER: Final = Topic("ledger", "ledger updates: entries, conversations, usage, balance", AGGREGATOR_GROUP, _FOR_EVER)
DEAD_LETTERS: Final = Topic("dead-letters", "refused records, each with its reason", AGGREGATOR_GROUP, _FOR_EVER)
REPLAYS: Final = Topic("replays", "claims and receipts of dead letters that were put back", None, _REPLAYS)
EVENT_COUNTS: Final = Topic("event-counts", "event counts, for reconciliation", AGGREGATOR_GROUP, _TWO_WEEKS)
ENTITLEMENTS: Final = Topic("entitlements", "what each bot may do, for its runtime", None, _COMPACTED)
OUTCOMES: Final = Topic("outcomes", "what became of each account command", None, _TWO_WEEKS)
NOTICES: Final = Topic("notices", "messages to the people of workspaces", None, _NOTICES)
DELIVERIES: Final = Topic("deliveries", "what became of each mail and webhook of a notice", None, _DELIVERIES)
PAYMENT_REQUESTS: Final = Topic("payment-requests", "payments that a gateway has to take", PAYMENTS_GROUP, _NINETY_DAYS)
CONVERSATION_STATE: Final = Topic("conversation-state", "checkpoints of the sessionizer", None, _COMPACTED)
POLICIES: Final = Topic("policies", "versions of the policy: what decides money", None, _FOR_EVER)
WALLET_STATE: Final = Topic("wallet-state", "checkpoints of the wallets", None, _COMPACTED)
COMMAND_STATE: Final = Topic("command-state", "checkpoints of the mover of account commands", None, _COMPACTED)

TOPICS: Final = (
    CHAT_EVENTS,
    ACCOUNT_COMMANDS,
    WALLET_INPUTS,
    LEDGER,
    DEAD_LETTERS,
    REPLAYS,
    EVENT_COUNTS,
    ENTITLEMENTS,
    OUTCOMES,
    NOTICES,
    DELIVERIES,
    PAYMENT_REQUESTS,
    POLICIES,
    CONVERSATION_STATE,
    WALLET_STATE,
    COMMAND_STATE,
)


def missing_topics(wanted: Iterable[Topic], existing: Collection[str]) -> str | None:
    """The message for the topics of `wanted` that are not in `existing`, without a period; None if all exist."""
    missing = [topic.name for topic in wanted if topic.name not in existing]
    if not missing:
        return None
    return f"the topics {', '.join(missing)} do not exist: run `python -m meter topics` first"


def no_broker(bootstrap: str) -> str:
    """The message for brokers that do not answer. `bootstrap` is HOST:PORT, or several with commas between."""
    return f"no Kafka broker answers at {bootstrap}: start it, or set KAFKA_BOOTSTRAP_SERVERS to where it is"
