"""Everything that the meter knows of Kafka's records, topics, groups and its client."""
