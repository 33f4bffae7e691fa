"""Reconciliation against the live tables: rounds, the worker's timer, the report."""
