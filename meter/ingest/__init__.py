"""Writing feeds to Kafka: files of chat events and account commands."""
