"""A lock on a file, held by one process. The operating system releases it when the process ends for any reason."""

import errno
import fcntl
import os
from pathlib import Path


class LockHeldError(Exception):
    """Another process holds the lock. The message is the id of that process, or "unknown" if the file is empty."""


def lock_file(path: Path) -> int:
    """Lock a file, write the id of this process into it, and return its descriptor. The file is created if missing.

    Closing the descriptor releases the lock. The file must not be removed: a process that had opened it before would
    then lock a file that no other process sees. Raises LockHeldError, or OSError if the file cannot be opened or its
    file system has no locks.
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
