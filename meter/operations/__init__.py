"""What operators do when topics, state and offsets do not fit each other any more."""
