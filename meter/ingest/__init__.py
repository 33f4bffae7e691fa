"""Ways by which chat events and account commands get into Kafka."""
