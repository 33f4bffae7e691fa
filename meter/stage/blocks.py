"""Blocks: state entries as a checkpoint packs them, many to a record.

A block is a sequence of entries. An entry is the length of its key and the length of its value, each an unsigned
32-bit integer, little-endian; then the key, then the value. The length ENDED, with no value, means that
the key has ended.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from struct import Struct
from typing import Final, NamedTuple

Entry = tuple[bytes, bytes | None]
"""A key and its value; None where the key ended."""

BLOCK_BYTES: Final = 256 * 1024
"""A block is complete once it is at least this long, so it is longer by up to one entry."""

ENDED: Final = 0xFFFF_FFFF

_LENGTHS: Final = Struct("<II")


def pack(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield blocks that hold the entries, in the order given."""
    block = bytearray()
    for key, value in entries:
        block += _LENGTHS.pack(len(key), ENDED if value is None else len(value))
        block += key
        block += value or b""
        if len(block) >= BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


def unpack(block: bytes) -> Iterator[Entry]:
    """Yield the entries of a block, in its order. Raises ValueError where it breaks off within an entry."""
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


class _Loaded(NamedTuple):
    offset: int
    value: bytes | None


class Loading:
    """Collects blocks, in any order, while a state is restored. Of every key the entry of the highest offset counts."""

    def __init__(self) -> None:
        self._loaded: dict[bytes, _Loaded] = {}

    def load(self, offset: int, block: bytes) -> None:
        """Take the entries of a block written as of input `offset`. Raises ValueError where the block breaks off."""
        for key, value in unpack(block):
            known = self._loaded.get(key)
            if known is None or offset >= known.offset:
                self._loaded[key] = _Loaded(offset, value)

    def finish(self, floor: int) -> dict[bytes, bytes]:
        """Return the entries of the state: those above offset `floor` whose key has not ended."""
        loaded = self._loaded.items()
        return {key: each.value for key, each in loaded if each.value is not None and each.offset > floor}


class Sweep:
    """Goes through all entries of a state in parts, while the state changes. After the last part it begins again.

    `parts` is called when a sweep begins, and gives the keys in parts; one is listed when the keys of the part before
    it were returned. Each value is read when its key's turn comes. Every entry present for the whole sweep is returned.
    One added during it may wait for the next; one removed during it may be left out.
    """

    def __init__(
        self, parts: Callable[[], Iterable[Iterable[bytes]]], value_of: Callable[[bytes], bytes | None]
    ) -> None:
        self._begin = parts
        self._parts: Iterator[Iterable[bytes]] | None = None
        self._value_of = value_of
        self._left: deque[bytes] = deque()

    def next(self, size_bytes: int) -> tuple[bytes, bool]:
        """Return a block of the next entries, of `size_bytes` or little more, and whether the sweep ends with it."""
        if self._parts is None:
            self._parts = iter(self._begin())
        block = b"".join(pack(self._next(self._parts, size_bytes)))
        is_over = not self._has_next(self._parts)
        if is_over:
            self._parts = None
        return block, is_over

    def _next(self, parts: Iterator[Iterable[bytes]], size_bytes: int) -> Iterator[Entry]:
        returned_bytes = 0
        while returned_bytes < size_bytes and self._has_next(parts):
            key = self._left.popleft()
            value = self._value_of(key)
            if value is not None:
                returned_bytes += len(key) + len(value)
                yield key, value

    def _has_next(self, parts: Iterator[Iterable[bytes]]) -> bool:
        while not self._left:
            part = next(parts, None)
            if part is None:
                return False
            self._left.extend(part)
        return True
