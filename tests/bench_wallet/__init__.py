"""What a partition of wallets can do in a second of one core, in memory and on a real Kafka."""
