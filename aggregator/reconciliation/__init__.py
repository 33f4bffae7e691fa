"""Reconciliation of the tables in ClickHouse: rounds over all workspaces, the worker's looks, the command's report."""
