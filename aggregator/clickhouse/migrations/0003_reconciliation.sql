-- What reconciliation compares rows with: how many of them there are, by the word of those who wrote them.

-- How many rows of a workspace stand in the other tables once this one does. Rows from before have none and differ.
ALTER TABLE balance_facts ADD COLUMN IF NOT EXISTS entries UInt64 DEFAULT 0 AFTER lapsed_micros;
ALTER TABLE balance_facts ADD COLUMN IF NOT EXISTS conversations UInt64 DEFAULT 0 AFTER entries;
ALTER TABLE balance_facts ADD COLUMN IF NOT EXISTS messages UInt64 DEFAULT 0 AFTER conversations;
ALTER TABLE balance_facts ADD COLUMN IF NOT EXISTS occurrences UInt64 DEFAULT 0 AFTER messages;

-- Where and when a workspace began, to notice one that is gone altogether.
ALTER TABLE balance_facts ADD COLUMN IF NOT EXISTS wallet_partition Int32 DEFAULT -1 AFTER occurrences;
ALTER TABLE balance_facts ADD COLUMN IF NOT EXISTS since Int64 DEFAULT -1 AFTER wallet_partition;

-- What became of the records of a partition of chat-events up to an offset, and what one partition of wallets has taken
-- of them. Only the newest offset that all have told of is compared. So that nothing older piles up, an offset has one of
-- few slots, and what is told later of a slot replaces what was told before.
CREATE TABLE IF NOT EXISTS event_count_facts
(
    origin_partition Int32,
    wallet_partition Int32,
    slot UInt64,
    origin_offset Int64,
    wallet_partitions Int32,
    events UInt64,
    messages UInt64,
    closed_messages UInt64,
    occurrences UInt64,
    duplicates UInt64,
    refused UInt64,
    ticks UInt64,
    wallet_messages UInt64,
    wallet_occurrences UInt64,
    refused_inputs UInt64,
    workspaces UInt64,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (origin_partition, wallet_partition, slot);
