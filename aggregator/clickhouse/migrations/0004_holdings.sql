-- What the other tables hold: which life of which topics, and up to which offsets. A worker compares both with Kafka
-- before it writes (docs/adr/0022).

-- The topics whose records the other tables hold. `state` is `emptying` or `filling` while a rebuild is unfinished, and
-- `whole` otherwise. The newest version is what stands.
CREATE TABLE IF NOT EXISTS topics_held
(
    topic LowCardinality(String),
    cluster_id String,
    topic_id String,
    partitions Int32,
    state LowCardinality(String),
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY topic;

-- The offset up to which a partition's rows are in the other tables: all records before it are. `version` is the same
-- number, so a superseded worker cannot set it back. It is written after the rows and before the group's offset.
CREATE TABLE IF NOT EXISTS offsets_held
(
    topic LowCardinality(String),
    topic_id String,
    partition Int32,
    next_offset Int64,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (topic, topic_id, partition);
