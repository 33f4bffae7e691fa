"""The aggregator, on the real engine in this process."""
