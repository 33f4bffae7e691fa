"""Reads the ledger and dead-letters topics and keeps ClickHouse's tables, which analysts and the usage page read."""
