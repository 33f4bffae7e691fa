-- Facts, as the updates of the ledger topic state them. A row may be written any number of times: the sorting key has
-- only columns that never change, and of the rows with the same key the one with the highest `version` is kept. The
-- version is the offset on wallet-inputs that an update was built from.
-- Analysts read the views of 0002, which leave out rows that were replaced.

CREATE TABLE IF NOT EXISTS ledger_entries
(
    workspace_id String,
    seq UInt64,
    entry_id String,
    bot_id String,
    kind LowCardinality(String),
    unit_id String,
    conversation_id String,
    lot_id String,
    lot_kind LowCardinality(String),
    amount_micros Int64,
    occurred_at DateTime64(3, 'UTC'),
    booked_at DateTime64(3, 'UTC'),
    day Date,
    reverses String,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace_id, seq, entry_id);

-- `opened_at` is the time of the message that arrived first. A late message may change `first_at`, but never
-- `opened_at`. So a row has the same partition and sorting key as the row that it replaces.
CREATE TABLE IF NOT EXISTS conversation_facts
(
    workspace_id String,
    bot_id String,
    opened_at DateTime64(3, 'UTC'),
    conversation_id String,
    channel LowCardinality(String),
    channel_user_id String,
    state LowCardinality(String),
    billable Bool,
    absorbed_into String,
    first_at DateTime64(3, 'UTC'),
    last_at DateTime64(3, 'UTC'),
    messages UInt64,
    requests UInt64,
    sessions UInt64,
    plan LowCardinality(String),
    charged_free_micros Int64,
    charged_paid_micros Int64,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(opened_at)
ORDER BY (workspace_id, bot_id, opened_at, conversation_id);

CREATE TABLE IF NOT EXISTS usage_daily_facts
(
    workspace_id String,
    bot_id String,
    day Date,
    conversations Int64,
    sessions Int64,
    requests Int64,
    proactive_notifications Int64,
    alert_notifications Int64,
    agent_messages Int64,
    developer_messages Int64,
    total_units Int64,
    charged_free_micros Int64,
    charged_paid_micros Int64,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace_id, bot_id, day);

CREATE TABLE IF NOT EXISTS balance_facts
(
    workspace_id String,
    free_micros Int64,
    paid_micros Int64,
    lapsed_micros Int64,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY workspace_id;

-- The key is the location of the refused record, so a dead letter that is repeated replaces its row. `version` is the
-- offset of the dead letter on its own topic. `payload_bytes` is the length of the refused record's value; if
-- `is_shortened`, key or payload may be only their beginnings.
CREATE TABLE IF NOT EXISTS dead_letter_facts
(
    source_topic LowCardinality(String),
    source_partition Int32,
    source_offset Int64,
    code LowCardinality(String),
    reason String,
    key Nullable(String),
    payload Nullable(String),
    payload_bytes Nullable(UInt64),
    is_shortened Bool,
    refused_at DateTime64(3, 'UTC'),
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (source_topic, source_partition, source_offset);
