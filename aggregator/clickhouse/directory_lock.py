"""One process owns a data directory: a second one is told so in a sentence before the engine trips over it."""

import os
from pathlib import Path
from typing import Final

from schemas.file_lock import LockHeldError, lock_file

LOCK_FILE: Final = ".lock"
"""In the directory of an embedded ClickHouse: locked by the one process that has it open; holds its id."""


class DirectoryTakenError(Exception):
    """One sentence: which directory, who has it, what to do."""


class DirectoryLock:
    """Held from construction until `release`, and given back by the kernel if the process dies."""

    def __init__(self, directory: Path) -> None:
        """Makes the directory if it is missing. Raises DirectoryTakenError if it is in use or cannot be written."""
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
        """Gives the directory back. Safe to repeat. The file stays: removing it could free another's lock."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
