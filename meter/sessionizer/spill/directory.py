"""A directory for each worker: several may share METER_SPILL_DIR, and what a killed one has left is removed."""

import shutil
from functools import cache
from itertools import count
from pathlib import Path

from schemas.file_lock import LockHeldError, lock_file


@cache
def reserve_directory(root: Path) -> Path:
    """An empty directory below `root` that no other process uses as long as this one lives. Raises OSError."""
    root.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        directory = root / f"worker-{number}"
        try:
            lock_file(directory.with_suffix(".lock"))
        except LockHeldError:
            continue
        # The lock is held until the process ends, so nobody is using what lies there.
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        return directory
    raise AssertionError("there is always a next number")
