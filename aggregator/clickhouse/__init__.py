"""Access to ClickHouse: the client, the lock of a data directory, the migrations, read-only queries."""
