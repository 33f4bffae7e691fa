"""Malformed inputs made from real ones, run through the production folds and held against the oracle."""
