-- Counts by the meter, which reconciliation compares with the rows of the tables.

-- Control totals: what the other tables hold of a workspace once its balance is written. `entries` and `conversations`
-- are numbers of rows; `messages` (of closed conversations) and `occurrences` are sums. Rows that were written before
-- this migration have 0 and differ.
ALTER TABLE balance_facts ADD COLUMN IF NOT EXISTS entries UInt64 DEFAULT 0 AFTER lapsed_micros;
ALTER TABLE balance_facts ADD COLUMN IF NOT EXISTS conversations UInt64 DEFAULT 0 AFTER entries;
ALTER TABLE balance_facts ADD COLUMN IF NOT EXISTS messages UInt64 DEFAULT 0 AFTER conversations;
ALTER TABLE balance_facts ADD COLUMN IF NOT EXISTS occurrences UInt64 DEFAULT 0 AFTER messages;

-- The partition and the offset of wallet-inputs at which a workspace began. They show when all rows of a workspace are
-- missing.
ALTER TABLE balance_facts ADD COLUMN IF NOT EXISTS wallet_partition Int32 DEFAULT -1 AFTER occurrences;
ALTER TABLE balance_facts ADD COLUMN IF NOT EXISTS since Int64 DEFAULT -1 AFTER wallet_partition;

-- Comparisons: what became of the records of a partition of chat-events up to an offset, and how many of them the
-- partition of wallet-inputs with the same number has processed. Only the newest offset is used. An offset has one of 256 slots, and a later comparison replaces an earlier one with the same slot. So the
-- table does not grow.
CREATE TABLE IF NOT EXISTS event_count_facts
(
    origin_partition Int32,
    wallet_partition Int32,
    slot UInt64,
    origin_offset Int64,
    events UInt64,
    messages UInt64,
    closed_messages UInt64,
    occurrences UInt64,
    duplicates UInt64,
    refused UInt64,
    ticks UInt64,
    moved UInt64,
    wallet_messages UInt64,
    wallet_occurrences UInt64,
    refused_inputs UInt64,
    workspaces UInt64,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (origin_partition, wallet_partition, slot);
