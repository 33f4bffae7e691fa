"""The file of API keys: written whole by commands, and read again by the gateway when it changes."""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from meter.gateway.keys import MAX_KEYS, ApiKey, KeyFile, KeyRing
from schemas.environment import SettingsError, unusable
from schemas.file_lock import LockHeldError, lock_file

MAX_BYTES: Final = 1_000 * MAX_KEYS
"""The largest file of keys that is read."""

logger = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(KeyFile).decode


class KeysUnreadableError(Exception):
    """The file of keys cannot be read or written. The message says why."""


def keys_path(configured: str) -> Path:
    """Return the path of METER_API_KEYS_FILE. Raises SettingsError if it is not set."""
    if not configured:
        raise SettingsError(
            "METER_API_KEYS_FILE is not set. Set it to the path of the file of API keys; "
            "`python -m meter keys add` writes it."
        )
    path = Path(configured)
    if path.is_dir():
        raise unusable("METER_API_KEYS_FILE", configured, "it is a directory", "Set it to the path of a file")
    return path


def read_keys(path: Path) -> list[ApiKey]:
    """Return the keys of a file; none if there is no file yet. Raises KeysUnreadableError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise KeysUnreadableError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise KeysUnreadableError(f"{path} is larger than {MAX_BYTES} bytes, so it is no file of API keys")
    try:
        return _decode(data).keys
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise KeysUnreadableError(f"{path} is no file of API keys: {str(error).replace('`', '')}") from error


@contextmanager
def changing_keys(path: Path) -> Iterator[list[ApiKey]]:
    """The keys of a file as a list; the file is replaced by it at the end of the block, unless the block raises.

    One process at a time can change the file, and a reader finds the old one or the new one. Only its owner can read
    it. Raises KeysUnreadableError.
    """
    try:
        lock = lock_file(path.with_name(f"{path.name}.lock"))
    except LockHeldError as error:
        raise KeysUnreadableError(f"process {error} is changing {path} now; try again") from error
    except OSError as error:
        raise KeysUnreadableError(f"{path} cannot be written: {error.strerror}") from error
    try:
        keys = read_keys(path)
        yield keys
        _replace(path, _encode(KeyFile(keys=keys)))
    finally:
        os.close(lock)


def _replace(path: Path, data: bytes) -> None:
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(file.name, path)
    except OSError as error:
        raise KeysUnreadableError(f"{path} cannot be written: {error.strerror}") from error


class WatchedKeys:
    """The keys of a file as it is now. Each `ring` compares the file's time, size and number with the ones before.

    A file that is gone or cannot be read means no keys: a damaged file must not keep a revoked key alive.
    """

    def __init__(self, path: Path, on_change: Callable[[KeyRing], None] = lambda _: None) -> None:
        self._path = path
        self._on_change = on_change
        self._seen: object = None
        self._ring = KeyRing()
        self.fault = ""
        """Why there are no keys; "" while there are some. Anyone may read it, so it names no path."""
        self.is_readable = True

    def ring(self) -> KeyRing:
        """Return the keys, read again if the file has changed."""
        try:
            found = os.stat(self._path)
            seen: object = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError as error:
            seen = error.errno
        if seen != self._seen:
            self._seen = seen
            self._load()
        return self._ring

    def _load(self) -> None:
        try:
            keys = read_keys(self._path)
            self.fault = "" if keys else "there are no API keys: run `python -m meter keys add`"
            self.is_readable = True
        except KeysUnreadableError as error:
            keys, self.fault, self.is_readable = [], "the API keys cannot be read; the log says why", False
            logger.error("%s", error)
        self._ring = KeyRing(keys)
        self._on_change(self._ring)
