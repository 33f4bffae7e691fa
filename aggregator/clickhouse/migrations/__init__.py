"""The tables' history: NNNN_slug.sql, applied in order by `aggregator.clickhouse.migrate`, never changed once released."""
