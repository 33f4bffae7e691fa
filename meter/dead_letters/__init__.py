"""Refused records as operators see them: list, show, replay."""
