"""A directory for each worker below METER_SPILL_DIR, which workers may share. Files of killed workers are removed."""

import fcntl
import os
import shutil
from functools import cache
from itertools import count
from pathlib import Path


@cache
def reserve_directory(root: Path) -> Path:
    """Return an empty directory below `root` that no other process uses while this one runs. Raises OSError.

    Every call of a process with the same `root` returns the same directory.
    """
    root.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        directory = root / f"worker-{number}"
        lock = os.open(directory.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        # The lock is held until its process ends, so no process uses what this directory contains.
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        return directory
    raise AssertionError("there is always a next number")
