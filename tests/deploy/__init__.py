"""Compose file, alerts and board, checked without an engine."""
