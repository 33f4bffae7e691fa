"""What both stages share: a fold over one topic, with checkpoints."""
