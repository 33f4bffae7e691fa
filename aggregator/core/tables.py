"""The tables: every column with its ClickHouse type and where its value comes from.

A row is made from two objects. The *carrier* is what a Kafka record states once: an update, the location of a dead
letter, the key of a comparison. The *fact* is one of the things it carries: an entry, a conversation, a dead letter.
A test compares these columns with the tables that the migrations create.
"""

from typing import Final

import msgspec

from schemas.event_counts import EventCounts
from schemas.ledger import ControlTotals


class LetterLocation(msgspec.Struct, frozen=True):
    """The location of a dead letter on the topic dead-letters. `version` is its offset there."""

    topic: str
    partition: int
    version: int
    timestamp_ms: int


class ComparisonKey(msgspec.Struct, frozen=True):
    """The carrier of a comparison's row. `version` is the comparison's own.

    `slot` is a number from 0 to `COMPARISON_SLOTS` - 1 that follows from the offset: a later comparison with the same
    slot replaces this one.
    """

    slot: int
    version: int


class Column(msgspec.Struct, frozen=True):
    """A column: name, ClickHouse type, and the attribute of the fact that holds a cell's value (`a.b` for nested ones).

    The attribute belongs to the carrier if `on_carrier` is true.
    """

    name: str
    type: str
    attribute: str
    on_carrier: bool = False


class Table(msgspec.Struct, frozen=True):
    """A table. `key` is its sorting key: of the rows with the same key ClickHouse keeps the highest `version`."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    def named(self, name: str) -> Column:
        """The column with a name. Raises StopIteration if there is none."""
        return next(column for column in self.columns if column.name == name)


def _word(name: str) -> Column:
    """A text with few different values."""
    return Column(name, "LowCardinality(String)", name)


def _text(name: str) -> Column:
    return Column(name, "String", name)


def _bytes(name: str, attribute: str) -> Column:
    return Column(name, "Nullable(String)", attribute)


def _count(name: str, attribute: str = "", *, on_carrier: bool = False) -> Column:
    return Column(name, "UInt64", attribute or name, on_carrier)


def _number(name: str, *, on_carrier: bool = False) -> Column:
    """The number of a partition, or a number of partitions."""
    return Column(name, "Int32", name, on_carrier)


def _signed(name: str) -> Column:
    return Column(name, "Int64", name)


def _instant(name: str, attribute: str, *, on_carrier: bool = False) -> Column:
    """A time. Written as integer milliseconds since 1970."""
    return Column(name, "DateTime64(3, 'UTC')", attribute, on_carrier)


_WORKSPACE: Final = Column("workspace_id", "String", "workspace_id", on_carrier=True)
_VERSION: Final = Column("version", "UInt64", "version", on_carrier=True)

LEDGER_ENTRIES: Final = Table(
    "ledger_entries",
    ("workspace_id", "seq", "entry_id"),
    (
        _WORKSPACE,
        _count("seq"),
        _text("entry_id"),
        _text("bot_id"),
        _word("kind"),
        _text("unit_id"),
        _text("conversation_id"),
        _text("lot_id"),
        _word("lot_kind"),
        _signed("amount_micros"),
        _instant("occurred_at", "occurred_ms"),
        _instant("booked_at", "booked_ms"),
        Column("day", "Date", "day"),  # Written as integer days since 1970.
        _text("reverses"),
        _VERSION,
    ),
)

CONVERSATION_FACTS: Final = Table(
    "conversation_facts",
    ("workspace_id", "bot_id", "opened_at", "conversation_id"),
    (
        _WORKSPACE,
        _text("bot_id"),
        _instant("opened_at", "opened_ms"),
        _text("conversation_id"),
        _word("channel"),
        _text("channel_user_id"),
        _word("state"),
        Column("billable", "Bool", "billable"),
        _text("absorbed_into"),
        _instant("first_at", "first_ms"),
        _instant("last_at", "last_ms"),
        _count("messages"),
        _count("requests"),
        _count("sessions"),
        _word("plan"),
        _signed("charged_free_micros"),
        _signed("charged_paid_micros"),
        _VERSION,
    ),
)

USAGE_DAILY_FACTS: Final = Table(
    "usage_daily_facts",
    ("workspace_id", "bot_id", "day"),
    (
        _WORKSPACE,
        _text("bot_id"),
        Column("day", "Date", "day"),  # Written as integer days since 1970.
        _signed("conversations"),
        _signed("sessions"),
        _signed("requests"),
        _signed("proactive_notifications"),
        _signed("alert_notifications"),
        _signed("agent_messages"),
        _signed("developer_messages"),
        _signed("total_units"),
        _signed("charged_free_micros"),
        _signed("charged_paid_micros"),
        _VERSION,
    ),
)

BALANCE_FACTS: Final = Table(
    "balance_facts",
    ("workspace_id",),
    (
        _WORKSPACE,
        _signed("free_micros"),
        _signed("paid_micros"),
        _signed("lapsed_micros"),
        *(_count(name, f"totals.{name}", on_carrier=True) for name in ControlTotals.__struct_fields__),
        Column("wallet_partition", "Int32", "partition", on_carrier=True),
        Column("since", "Int64", "since", on_carrier=True),
        _VERSION,
    ),
)

DEAD_LETTER_FACTS: Final = Table(
    "dead_letter_facts",
    ("source_topic", "source_partition", "source_offset"),
    (
        _word("source_topic"),
        _number("source_partition"),
        _signed("source_offset"),
        _word("code"),
        _text("reason"),
        _bytes("key", "key"),
        _bytes("payload", "value"),
        Column("payload_bytes", "Nullable(UInt64)", "value_bytes"),
        Column("is_shortened", "Bool", "is_shortened"),
        _instant("refused_at", "timestamp_ms", on_carrier=True),
        _VERSION,
    ),
)

COMPARISON_SLOTS: Final = 256
"""How many comparisons are kept for each partition of chat-events, at most."""

EVENT_COUNT_FACTS: Final = Table(
    "event_count_facts",
    ("origin_partition", "wallet_partition", "slot"),
    (
        _number("origin_partition"),
        _number("wallet_partition"),
        _count("slot", on_carrier=True),
        _signed("origin_offset"),
        *(_count(name, f"counts.{name}") for name in EventCounts.__struct_fields__),
        _count("wallet_messages", "messages"),
        _count("wallet_occurrences", "occurrences"),
        _count("refused_inputs"),
        _count("workspaces"),
        _VERSION,
    ),
)

TABLES: Final = (
    LEDGER_ENTRIES,
    CONVERSATION_FACTS,
    USAGE_DAILY_FACTS,
    BALANCE_FACTS,
    DEAD_LETTER_FACTS,
    EVENT_COUNT_FACTS,
)
