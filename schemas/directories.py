"""Names that two programs have to agree on where they share a directory."""

LOCK_FILE = ".lock"
"""In the directory of an embedded ClickHouse: locked with flock by the one process that has it open; holds its id."""
