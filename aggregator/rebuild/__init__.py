"""Filling ClickHouse again from Kafka."""
