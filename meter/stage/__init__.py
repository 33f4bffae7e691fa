"""The part that both stages share: reading a topic in batches, sending outputs, and checkpoints of the state."""
