"""The worker that writes from Kafka to ClickHouse."""
