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

    The keys are listed when a sweep begins; each value is read when its part comes. Every entry present for the whole
    sweep is returned. One added during it waits for the next; one removed during it may be left out.
    """

    def __init__(self, keys: Callable[[], Iterable[bytes]], value_of: Callable[[bytes], bytes | None]) -> None:
        self._keys = keys
        self._value_of = value_of
        self._left: deque[bytes] = deque()

    def next(self, size_bytes: int) -> tuple[bytes, bool]:
        """Return a block of the next entries, of `size_bytes` or little more, and whether the sweep ends with it."""
        if not self._left:
            self._left.extend(self._keys())
        return b"".join(pack(self._next(size_bytes))), not self._left

    def _next(self, size_bytes: int) -> Iterator[Entry]:
        returned_bytes = 0
        while self._left and returned_bytes < size_bytes:
            key = self._left.popleft()
            value = self._value_of(key)
            if value is not None:
                returned_bytes += len(key) + len(value)
                yield key, value
