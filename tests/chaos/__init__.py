"""Rounds of real workers on a real Kafka, with faults at random, each held against the oracle."""
