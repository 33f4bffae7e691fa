"""What the aggregator asks Kafka outside of a worker: which topics there are, and their records from an offset on."""
