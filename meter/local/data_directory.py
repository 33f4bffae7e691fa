"""The data directory of a run on this machine: who owns it, and where its tables are."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from meter.local.processes import RunError
from schemas.file_lock import LockHeldError, lock_file

CLICKHOUSE_DIR: Final = "clickhouse"
"""Where, under a data directory, the embedded ClickHouse keeps its tables."""


def data_dsn(data: Path) -> str:
    """The DSN of a data directory's embedded engine."""
    return f"chdb://{(data / CLICKHOUSE_DIR).resolve()}"


MARKER: Final = "meter-data"
"""The file that says a directory is ours: it holds the lock while a run owns it."""


@contextmanager
def owned_data_directory(data: Path) -> Iterator[None]:
    """Own a data directory for as long as the block lasts. Raises RunError if it is taken, foreign or unwritable.

    The embedded broker keeps nothing between runs, so what an earlier run left in ClickHouse is replaced with it.
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
