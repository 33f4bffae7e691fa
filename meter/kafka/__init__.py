"""All that the meter does with Kafka: its records, topics, consumer groups and client."""
