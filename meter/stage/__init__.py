"""What both stages share: batches of one topic in, outputs out, and checkpoints of the state."""
