"""The tables' history: NNNN_slug.sql, applied in order by `migrate`, never changed once released."""
