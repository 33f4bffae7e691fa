"""One process owns a data directory: a second one is told so in a sentence before the engine trips over it."""

import errno
import fcntl
import os
from pathlib import Path

from schemas.directories import LOCK_FILE


class DirectoryTakenError(Exception):
    """One sentence: which directory, who has it, what to do."""


class DirectoryLock:
    """Held from construction until `release`, and given back by the kernel if the process dies."""

    def __init__(self, directory: Path) -> None:
        """Makes the directory if it is missing. Raises DirectoryTakenError if it is in use or cannot be written."""
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
        """Gives the directory back. Safe to repeat. The file stays: removing it could free another's lock."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
