"""Everything that the aggregator knows of ClickHouse: the client, the tables, read-only queries."""
