"""The data directory of a run on this machine: its lock, and where its tables are."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from meter.local.processes import RunError
from schemas.file_lock import LockHeldError, lock_file

CLICKHOUSE_DIR: Final = "clickhouse"
"""The directory below a data directory in which the embedded ClickHouse keeps its tables."""


def data_dsn(data: Path) -> str:
    """Return the CLICKHOUSE_DSN of the embedded engine on a data directory."""
    return f"chdb://{(data / CLICKHOUSE_DIR).resolve()}"


MARKER: Final = "meter-data"
"""The file that marks a data directory. A run holds a lock (flock) on it, and its process id is written in it."""


@contextmanager
def owned_data_directory(data: Path) -> Iterator[None]:
    """Create a data directory if it is missing, and own it for the length of the block.

    Raises RunError if another run owns it, if it holds other files, or if it cannot be written. The tables of an
    earlier run are deleted, because the embedded broker has lost the topics that they were made from.
    """
    try:
        data.mkdir(parents=True, exist_ok=True)
        foreign = any(data.iterdir()) and not (data / MARKER).exists()
    except OSError as error:
        raise _unusable(data, error) from error
    if foreign:
        raise RunError(f"{data} holds files that are not the meter's: choose an empty directory with --data")
    try:
        marker = lock_file(data / MARKER)
    except LockHeldError as owner:
        raise RunError(
            f"the data directory {data} is in use by another run (pid {owner}): stop it, or choose another"
        ) from None
    except OSError as error:
        raise _unusable(data, error) from error
    try:
        shutil.rmtree(data / CLICKHOUSE_DIR, ignore_errors=True)
        yield
    finally:
        os.close(marker)


def _unusable(data: Path, error: OSError) -> RunError:
    return RunError(f"{data} cannot be the data directory: {error.strerror}. Choose another with --data.")
