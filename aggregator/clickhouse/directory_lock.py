"""The lock of a data directory: one process uses it at a time, and a second one gets a clear error."""

import errno
import fcntl
import os
from pathlib import Path

from schemas.directories import LOCK_FILE


class DirectoryTakenError(Exception):
    """The directory is in use or cannot be written. The message is one sentence: directory, owner, what to do."""


class DirectoryLock:
    """Held from construction until `release`. The operating system releases it if the process dies."""

    def __init__(self, directory: Path) -> None:
        """Lock the directory, made if it is missing. Raises DirectoryTakenError if it is in use or not writable."""
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as refusal:
            raise DirectoryTakenError(
                f"the data directory {directory} cannot be written ({refusal.strerror}): make it writable, "
                "or choose another"
            ) from refusal
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as refusal:
            owner = os.pread(self._file, 20, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            if refusal.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise DirectoryTakenError(
                f"the data directory {directory} is in use by another process (pid {owner or 'unknown'}): "
                "stop it, or choose another"
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Release the directory. Safe to repeat.

        The lock file must not be removed: another process may have opened it already, and a third one would then
        make and lock a new file.
        """
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
