"""Feeds made by rule and seed, hard on purpose."""
