"""Blocks: many entries of a state in one piece, as a checkpoint's records carry them.

    block = entry, entry, ...        entry = length of key | length of value | key | value

Lengths are four bytes, the lowest first. A value's length of ENDED says that the key ended; then there is no value.
"""

from collections.abc import Collection, Iterable, Iterator
from struct import Struct
from typing import Final, Generic, TypeVar

ENDED: Final = 0xFFFFFFFF
Entry = tuple[bytes, bytes | None]
"""Key and value; None for a key that ended."""

K = TypeVar("K")
_LENGTHS = Struct("<II")


def blocks(entries: Iterable[Entry], max_block_bytes: int) -> Iterator[bytes]:
    """All entries in their order, in blocks of at most `max_block_bytes`; an entry larger than that has its own."""
    parts: list[bytes] = []
    size = 0
    for key, value in entries:
        entry = _LENGTHS.pack(len(key), ENDED if value is None else len(value)) + key + (value or b"")
        if parts and size + len(entry) > max_block_bytes:
            yield b"".join(parts)
            parts, size = [], 0
        parts.append(entry)
        size += len(entry)
    if parts:
        yield b"".join(parts)


def entries_of(block: bytes) -> Iterator[Entry]:
    """The entries of a block. Raises ValueError where it is not one."""
    at = 0
    while at < len(block):
        if len(block) - at < _LENGTHS.size:
            raise ValueError("a block breaks off in the lengths of an entry")
        key_bytes, value_bytes = _LENGTHS.unpack_from(block, at)
        at += _LENGTHS.size
        end = at + key_bytes + (0 if value_bytes == ENDED else value_bytes)
        if end > len(block):
            raise ValueError("a block breaks off in an entry")
        yield block[at : at + key_bytes], None if value_bytes == ENDED else block[at + key_bytes : end]
        at = end


class Loading:
    """Entries on their way back into memory: of each key the one that was loaded at the highest offset."""

    def __init__(self) -> None:
        self._newest: dict[bytes, tuple[int, int, bytes | None]] = {}

    def load(self, offset: int, source: int, block: bytes) -> None:
        """What `source` wrote at `offset`. At the same offset, what is loaded later counts. Raises ValueError."""
        for key, value in entries_of(block):
            known = self._newest.get(key)
            if known is None or offset >= known[0]:
                self._newest[key] = (offset, source, value)

    def finish(self, dead_sources: Collection[int]) -> dict[bytes, bytes]:
        """What stands: without the entries of sources that do not count, and without what ended."""
        newest, self._newest = self._newest, {}
        return {
            key: value for key, (_, source, value) in newest.items() if value is not None and source not in dead_sources
        }


class Round(Generic[K]):
    """A walk over all keys in many steps: each that lives through all of it is visited, whatever comes and goes."""

    def __init__(self) -> None:
        self._keys: list[K] = []

    def step(self, live: Collection[K], cursor: int, count: int) -> tuple[list[K], int]:
        """Up to `count` keys that are live, from `cursor` on, which is 0 to begin; the next cursor, 0 at the end."""
        if cursor == 0:
            self._keys = list(live)
        found: list[K] = []
        while cursor < len(self._keys) and len(found) < count:
            key = self._keys[cursor]
            if key in live:
                found.append(key)
            cursor += 1
        if cursor < len(self._keys):
            return found, cursor
        self._keys = []
        return found, 0
