"""A directory for each worker: several may share METER_SPILL_DIR, and what a killed one has left is removed."""

import fcntl
import os
import shutil
from functools import cache
from itertools import count
from pathlib import Path


@cache
def reserve_directory(root: Path) -> Path:
    """An empty directory below `root` that no other process uses as long as this one lives. Raises OSError."""
    root.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        directory = root / f"worker-{number}"
        lock = os.open(directory.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        # The lock is held until the process ends, so nobody is using what lies there.
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        return directory
    raise AssertionError("there is always a next number")
