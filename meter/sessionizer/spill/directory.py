"""A directory for each worker below METER_SPILL_DIR, which workers may share. Files of killed workers are removed."""

import shutil
from functools import cache
from itertools import count
from pathlib import Path

from schemas.file_lock import LockHeldError, lock_file


@cache
def reserve_directory(root: Path) -> Path:
    """Return an empty directory below `root` that no other process uses while this one runs. Raises OSError.

    Every call of a process with the same `root` returns the same directory.
    """
    root.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        directory = root / f"worker-{number}"
        try:
            lock_file(directory.with_suffix(".lock"))
        except LockHeldError:
            continue
        # The lock is held until its process ends, so no process uses what this directory contains.
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        return directory
    raise AssertionError("there is always a next number")
