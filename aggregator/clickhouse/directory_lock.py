"""The lock of a data directory: one process uses it at a time, and a second one gets a clear error."""

import os
from pathlib import Path
from typing import Final

from schemas.file_lock import LockHeldError, lock_file

LOCK_FILE: Final = ".lock"
"""In the directory of an embedded ClickHouse: locked by the one process that has it open; holds its id."""


class DirectoryTakenError(Exception):
    """The directory is in use or cannot be written. The message is one sentence: directory, owner, what to do."""


class DirectoryLock:
    """Held from construction until `release`. The operating system releases it if the process dies."""

    def __init__(self, directory: Path) -> None:
        """Lock the directory, made if it is missing. Raises DirectoryTakenError if it is in use or not writable."""
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = lock_file(directory / LOCK_FILE)
        except LockHeldError as owner:
            raise DirectoryTakenError(
                f"the data directory {directory} is in use by another process (pid {owner}): stop it, or choose another"
            ) from None
        except OSError as refusal:
            raise DirectoryTakenError(
                f"the data directory {directory} cannot be written ({refusal.strerror}): make it writable, "
                "or choose another"
            ) from refusal

    def release(self) -> None:
        """Release the directory. Safe to repeat.

        The lock file must not be removed: another process may have opened it already, and a third one would then
        make and lock a new file.
        """
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
