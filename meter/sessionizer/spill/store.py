"""A partition's interactions that are on disk: RocksDB, as a place to put things for a while.

The state topic is what makes state durable, so nothing here has to outlive the worker: there is no log of writes, and a
worker begins with an empty directory. `meter/kernel/spill.c` says what keys and values hold.
"""

import shutil
import weakref
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Final, cast

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DataBlockIndexType,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
    WriteBufferManager,
    WriteOptions,
)

INTERACTION: Final = b"i"
DUE: Final = b"d"
LOADED: Final = b"l"
SEEN: Final = b"s"
_AFTER_LOADED: Final = b"m"

NEVER_MS: Final = 2**62
_MOST_OFFSET: Final = 2**63 - 1

_DUE_END: Final = 9
"""A due key is its kind, a time of eight bytes, and a digest."""
_DIGEST_END: Final = 17
"""Any other begins with its kind and a digest or id."""
_HEAD_BYTES: Final = 12
_SHADOWED_BYTES: Final = 4
_GROUP: Final = 1024

_BLOOM_BITS: Final = 10
_UNWRITTEN_BLOOM: Final = 0.1
_WRITE_BUFFER_BYTES: Final = 8 << 20
_SHARED_BYTES: Final = 64 << 20
"""Of a process, whatever partitions it has: what RocksDB keeps of what it reads, and what it has not written yet."""
_UNWRITTEN_BYTES: Final = 32 << 20
"""Of that."""

Pair = tuple[bytes, bytes]
_Key = str | int | float | bytes | bool


class Store:
    """One partition's, in a directory of its own that goes with it."""

    def __init__(self, directory: Path) -> None:
        self._db = Rdict(str(directory), _options())
        self._unlogged = WriteOptions()
        self._unlogged.disable_wal = True  # type: ignore[method-assign, assignment] # Typed as a method, and is none.
        weakref.finalize(self, _clear, self._db, directory)

    def get(self, keys: list[bytes]) -> list[bytes | None]:
        """The values, None where there is none. Sorted keys are found sooner."""
        return cast(list[bytes | None], self._db.get(list[_Key](keys))) if keys else []

    def write(self, pairs: Iterable[Pair]) -> None:
        """Put what is not there, or stands otherwise."""
        batch = WriteBatch(raw_mode=True)
        for key, value in pairs:
            batch.put(key, value)
        self._db.write(batch, self._unlogged)

    def remove(self, keys: Iterable[bytes]) -> None:
        """Take out what may be there."""
        batch = WriteBatch(raw_mode=True)
        for key in keys:
            batch.delete(key)
        if not batch.is_empty():
            self._db.write(batch, self._unlogged)

    def due(self, from_ms: int, until_ms: int) -> tuple[list[bytes], int]:
        """Keys of the interactions that are due between, and when the next one is: NEVER_MS if none.

        Nothing is due before `from_ms`; what was is passed by, since what was removed of late takes time to pass.
        """
        keys: list[bytes] = []
        for key, _ in self._from(DUE + from_ms.to_bytes(_DUE_END - 1)):
            due_ms = due_ms_of(key)
            if due_ms > until_ms:
                return keys, due_ms
            keys.append(INTERACTION + key[_DUE_END:])
        return keys, NEVER_MS

    def still_open(self) -> list[bytes]:
        """Keys of the interactions that have a conversation that is open."""
        return [INTERACTION + key[_DUE_END:] for key, is_open in self._from(DUE) if is_open[0]]

    def entries(self, cursor: bytes, size_bytes: int) -> tuple[bytes, bytes | None]:
        """A block of the entries after `cursor`, b"" to begin, and the next one; None at the end."""
        block = bytearray()
        for key, value in self._from(INTERACTION + cursor):
            if key[1:] == cursor:
                continue
            if len(block) >= size_bytes:
                return bytes(block), cursor
            block += value[_entry_begins(value) :]
            cursor = key[1:]
        return bytes(block), None

    def loaded(self, floor: int) -> Iterator[list[bytes]]:
        """What was put under LOADED, in groups: of each key the highest offset, if that is above `floor`."""
        group: list[bytes] = []
        previous = b""
        for key, value in self._from(LOADED):
            digest, offset = key[1:_DIGEST_END], _MOST_OFFSET - int.from_bytes(key[_DIGEST_END:])
            if digest != previous and offset > floor and len(value) > _HEAD_BYTES:
                group.append(value)
            previous = digest
            if len(group) == _GROUP:
                yield group
                group = []
        yield group

    def drop_loaded(self) -> None:
        """All of LOADED has been asked for."""
        self._db.delete_range(LOADED, _AFTER_LOADED)

    def _from(self, first: bytes) -> Iterator[Pair]:
        """Pairs in the order of their keys, as long as they are of that kind."""
        pairs = cast(Iterator[Pair], self._db.items(from_key=first))
        return takewhile(lambda pair: pair[0][:1] == first[:1], pairs)


def due_ms_of(key: bytes) -> int:
    """The time in a due key."""
    return int.from_bytes(key[1:_DUE_END])


def due_key(interaction_key: bytes, value: bytes) -> bytes:
    """The due key of an interaction that is stored so."""
    return DUE + value[: _DUE_END - 1] + interaction_key[1:]


def _entry_begins(value: bytes) -> int:
    shadowed = int.from_bytes(value[_HEAD_BYTES - _SHADOWED_BYTES : _HEAD_BYTES], "little")
    return _HEAD_BYTES + _SHADOWED_BYTES * shadowed


def _clear(db: Rdict, directory: Path) -> None:
    db.close()
    shutil.rmtree(directory, ignore_errors=True)


@cache
def _shared() -> tuple[Cache, WriteBufferManager]:
    blocks = Cache(_SHARED_BYTES)
    return blocks, WriteBufferManager.new_write_buffer_manager_with_cache(_UNWRITTEN_BYTES, False, blocks)


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_compression_type(DBCompressionType.none())  # Ids and digests are as good as random.
    options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
    shared, unwritten = _shared()
    options.set_write_buffer_manager(unwritten)
    blocks = BlockBasedOptions()
    blocks.set_block_cache(shared)
    blocks.set_bloom_filter(_BLOOM_BITS, False)  # Most ids that are asked for are new.
    blocks.set_data_block_index_type(DataBlockIndexType.binary_and_hash())
    options.set_block_based_table_factory(blocks)
    options.set_memtable_prefix_bloom_ratio(_UNWRITTEN_BLOOM)  # The same for what is not written yet.
    options.set_memtable_whole_key_filtering(True)
    return options
