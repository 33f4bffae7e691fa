"""The rules that turn chat events into conversations, sessions and metered updates."""
