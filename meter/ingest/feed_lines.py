"""The lines of feed files, as people have them: plain or gzipped, in directories, with blank lines, from any system."""

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

from schemas.topics import MAX_RECORD_BYTES

SUFFIXES: Final = (".ndjson", ".jsonl", ".json")
"""A directory's feed files end in one of these, or in one of these and `.gz`; in capitals too."""

LINE_BYTES: Final = MAX_RECORD_BYTES - 64 * 1024
"""The longest line. The topics take no record that is larger, with its key and what Kafka adds."""

_GZIPPED: Final = b"\x1f\x8b"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_EVERY_LINES: Final = 1_000


class FeedError(Exception):
    """A feed cannot be read; the message names the file and the cause."""


def feed_files(paths: Iterable[Path]) -> list[Path]:
    """Return the files to read: each path itself, or the feed files in it if it is a directory, sorted by name.

    Directories below it are not looked at. Raises FeedError for a path that cannot be read, or has no feed files.
    """
    found: list[Path] = []
    for path in paths:
        try:
            inside = sorted(each for each in path.iterdir() if _is_feed_file(each)) if path.is_dir() else [path]
            for each in inside:
                each.open("rb").close()
        except OSError as error:
            raise _unreadable(path, error) from error
        if not inside:
            raise FeedError(
                f"the directory {path} has no feed files, whose names end in {', '.join(SUFFIXES)}, or in one of these "
                "and .gz: give the path of a file of events"
            )
        found += inside
    return found


def _is_feed_file(path: Path) -> bool:
    name = path.name.lower().removesuffix(".gz")
    return name.endswith(SUFFIXES) and not name.startswith(".") and path.is_file()


def lines(path: Path, on_bytes: Callable[[int], None]) -> Iterator[bytes]:
    """Yield the lines of a file without their ends. Blank lines, and a byte order mark at its head, are left out.

    Whether the file is gzipped is seen in its first bytes, and not in its name. `on_bytes` is called about every 1,000
    lines with the bytes read since the last call, compressed if the file is. Raises FeedError.
    """
    try:
        with path.open("rb") as raw:
            before = 0
            for number, line in enumerate(_split(path, _opened(raw))):
                if number % _EVERY_LINES == 0:
                    on_bytes(raw.tell() - before)
                    before = raw.tell()
                bare = line.removesuffix(b"\n").removesuffix(b"\r")
                if number == 0:
                    bare = bare.removeprefix(_BYTE_ORDER_MARK)
                if bare.strip(b" \t\r"):
                    yield bare
            on_bytes(raw.tell() - before)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error


def _opened(raw: BinaryIO) -> BinaryIO:
    head = raw.read(len(_GZIPPED))
    raw.seek(0)
    return cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if head == _GZIPPED else raw


def _split(path: Path, opened: BinaryIO) -> Iterator[bytes]:
    number = 0
    while line := opened.readline(LINE_BYTES + 1):
        number += 1
        if len(line) > LINE_BYTES:
            raise FeedError(
                f"the feed {path} cannot be read: line {number} is longer than {LINE_BYTES} bytes. "
                "Give a file of events, one on each line."
            )
        yield line


def _unreadable(path: Path, error: Exception) -> FeedError:
    cause = "it ends in the middle" if isinstance(error, EOFError) else getattr(error, "strerror", None) or str(error)
    return FeedError(f"the feed {path} cannot be read: {cause}. Give the path of a file of events.")
