"""Questions of the aggregator to Kafka outside of a worker."""
