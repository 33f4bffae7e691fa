"""A lock on a file, between descriptors: the kernel tells them apart as it tells processes apart."""

import os
from pathlib import Path

import pytest

from schemas.file_lock import LockHeldError, lock_file


def test_a_file_is_locked_once(tmp_path: Path) -> None:
    """Who has it is said, until it is given back; then it can be had again. What it held is written over."""
    path = tmp_path / "lock"
    path.write_text("of an earlier process, and longer than an id")
    file = lock_file(path)
    assert path.read_text() == str(os.getpid())
    with pytest.raises(LockHeldError, match=rf"^{os.getpid()}$"):
        lock_file(path)
    os.close(file)
    os.close(lock_file(path))
    assert path.exists()


def test_an_owner_that_left_no_id_is_unknown(tmp_path: Path) -> None:
    """It may have been about to write it."""
    path = tmp_path / "lock"
    file = lock_file(path)
    path.write_text("")
    with pytest.raises(LockHeldError, match=r"^unknown$"):
        lock_file(path)
    os.close(file)


def test_a_directory_that_is_not_there_is_an_error_of_its_own(tmp_path: Path) -> None:
    """It is not made, and no process holds the lock."""
    with pytest.raises(FileNotFoundError):
        lock_file(tmp_path / "none" / "lock")
