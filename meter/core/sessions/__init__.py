"""Rules that turn chat events into conversations and sessions."""
