"""The aggregator: reads ledger, dead-letters and event-counts from Kafka, and keeps the tables of ClickHouse."""
