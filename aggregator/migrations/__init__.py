"""The tables' history: NNNN_slug.sql, applied in order by `aggregator.migrate`, never changed once released."""
