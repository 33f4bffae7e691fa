"""The acts of operators when topics, state and offsets do not fit each other any more."""
