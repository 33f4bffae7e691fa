"""Real workers on each broker, against the oracle."""
