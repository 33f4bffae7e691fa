"""Names of files that two programs share in one directory."""

LOCK_FILE = ".lock"
"""A file in the data directory of an embedded ClickHouse.

The one process that has the directory open holds an flock on it. The file's text is that process's id.
"""
