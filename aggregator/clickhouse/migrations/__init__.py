"""The migrations: NNNN_slug.sql, applied in order by `migrate`. A released one must not be changed."""
