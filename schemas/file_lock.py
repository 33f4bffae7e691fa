"""A lock on a file: held by one process, and given back by the operating system if the process ends without a word."""

import errno
import fcntl
import os
from pathlib import Path


class LockHeldError(Exception):
    """Another process holds the lock. The message is that process's id, or "unknown"."""


def lock_file(path: Path) -> int:
    """Lock a file, which is made if it is missing, and write this process's id into it.

    Returns the descriptor: closing it gives the lock back. The file has to stay: a process that is about to lock a
    removed file would hold a lock that no other process sees. Raises LockHeldError, or OSError if the file cannot be
    opened or its file system has no locks.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as refusal:
        owner = os.pread(file, 20, 0).decode("ascii", "replace").strip()
        os.close(file)
        if refusal.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        raise LockHeldError(owner or "unknown") from None
    os.ftruncate(file, 0)
    os.pwrite(file, str(os.getpid()).encode(), 0)
    return file
