"""The store of a partition's interactions on disk: RocksDB, used as scratch space.

Checkpoints in the state topic make state durable, so the store need not outlive the worker: RocksDB keeps no log of its
writes, and a worker begins with an empty directory. `meter/kernel/spill.c` and `spill_ids.c` say what keys and values
hold.
"""

import shutil
import weakref
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain, takewhile
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

from meter.core.sessions.state_codec import unpack_bucket
from meter.stage.blocks import unpack

BUCKET: Final = b"b"
DUE: Final = b"d"
INTERACTION: Final = b"i"
LOADED: Final = b"l"
SEEN: Final = b"s"
"""The kinds of keys, by their first byte: a bucket of ids, when an interaction is due, an interaction, an entry of a
checkpoint, an event's id."""
_AFTER_LOADED: Final = b"m"

NEVER_MS: Final = 2**62
_MOST_OFFSET: Final = 2**63 - 1

_DUE_END: Final = 9
"""Where the time ends in a due key: its kind, milliseconds since 1970 in eight bytes (big-endian), a digest."""
_DIGEST_END: Final = 17
"""Where the digest, or what is in its place, ends in a LOADED key, after its kind."""
_HEAD_BYTES: Final = 8
"""Before the entry in an interaction's value: when it is due. The value of a bucket is its entry alone."""
_NUMBER_BYTES: Final = 8
_GROUP: Final = 1024

_BLOOM_BITS: Final = 10
_MEMTABLE_BLOOM_RATIO: Final = 0.1
_WRITE_BUFFER_BYTES: Final = 8 << 20
_CACHE_BYTES: Final = 64 << 20
"""RocksDB's memory in a process, for all of its partitions: blocks that were read, and memtables."""
_MEMTABLE_BYTES: Final = 32 << 20
"""How much of the cache memtables may take: what is not written to files yet."""

Pair = tuple[bytes, bytes]
_Key = str | int | float | bytes | bool


class Store:
    """The store of one partition, in a directory of its own, which is deleted when the object is collected."""

    def __init__(self, directory: Path) -> None:
        self._db = Rdict(str(directory), _options())
        self._unlogged = WriteOptions()
        self._unlogged.disable_wal = True  # type: ignore[method-assign, assignment] # Typed as a method, and is none.
        weakref.finalize(self, _close_and_delete, self._db, directory)

    def get(self, keys: list[bytes]) -> list[bytes | None]:
        """Return the value of each key, None where there is none. Sorted keys are found faster."""
        return cast(list[bytes | None], self._db.get(list[_Key](keys))) if keys else []

    def write(self, pairs: Iterable[Pair]) -> None:
        """Write the pairs, over older values of their keys."""
        batch = WriteBatch(raw_mode=True)
        for key, value in pairs:
            batch.put(key, value)
        self._db.write(batch, self._unlogged)

    def remove(self, keys: Iterable[bytes]) -> None:
        """Remove the keys, those that are there."""
        batch = WriteBatch(raw_mode=True)
        for key in keys:
            batch.delete(key)
        if not batch.is_empty():
            self._db.write(batch, self._unlogged)

    def due(self, from_ms: int, until_ms: int) -> tuple[list[bytes], int]:
        """Return keys of the interactions due from `from_ms` to `until_ms`, and when the next one is due, or NEVER_MS.

        `from_ms` must not be above any due time in the store. Beginning there, and not at the first key, saves RocksDB
        going over the due keys that were removed lately.
        """
        keys: list[bytes] = []
        for key, _ in self._from(DUE + from_ms.to_bytes(_DUE_END - 1)):
            due_ms = due_ms_of(key)
            if due_ms > until_ms:
                return keys, due_ms
            keys.append(INTERACTION + key[_DUE_END:])
        return keys, NEVER_MS

    def still_open(self) -> list[bytes]:
        """Return keys of the interactions that have an open conversation."""
        return [INTERACTION + key[_DUE_END:] for key, is_open in self._from(DUE) if is_open[0]]

    def entries(self, cursor: bytes, size_bytes: int) -> tuple[bytes, bytes | None]:
        """Return a block of the entries after `cursor`, of `size_bytes` or little more, and the next cursor.

        The first cursor is b"". The next one is None at the end.
        """
        block = bytearray()
        for key, value in chain(self._after(cursor, BUCKET), self._after(cursor, INTERACTION)):
            if len(block) >= size_bytes:
                return bytes(block), cursor
            block += value[_HEAD_BYTES:] if key[:1] == INTERACTION else value
            cursor = key
        return bytes(block), None

    def forget_bucket(self, number: int) -> None:
        """Remove a bucket and its ids, but not an id that came again and is of a later bucket now."""
        name = number.to_bytes(_NUMBER_BYTES)
        (block,) = self.get([BUCKET + name])
        assert block is not None, "a bucket leaves the store when it is forgotten, and never before"
        ((_, value),) = unpack(block)
        assert value is not None
        keys = sorted({SEEN + each.short_id for each in unpack_bucket(value)})
        own = [key for key, of in zip(keys, self.get(keys), strict=True) if of is not None and of.startswith(name)]
        self.remove([BUCKET + name, *own])

    def loaded(self, floor: int) -> Iterator[list[bytes]]:
        """Yield the values under LOADED, in groups: of each key the one with the highest offset.

        Buckets come first, in the order of their numbers. A key is left out where that offset is not above
        `floor`, or where it has ended.
        """
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

    def _after(self, cursor: bytes, kind: bytes) -> Iterator[Pair]:
        """Yield the pairs of a kind whose keys come after `cursor`, in order."""
        first = max(cursor, kind)
        return (pair for pair in self._from(first) if pair[0] != cursor) if first[:1] == kind else iter(())

    def drop_loaded(self) -> None:
        """Remove all keys of the kind LOADED."""
        self._db.delete_range(LOADED, _AFTER_LOADED)

    def _from(self, first: bytes) -> Iterator[Pair]:
        """Yield pairs in the order of their keys, from `first` on, as long as the kind is the same."""
        pairs = cast(Iterator[Pair], self._db.items(from_key=first))
        return takewhile(lambda pair: pair[0][:1] == first[:1], pairs)


def due_ms_of(key: bytes) -> int:
    """The due time in a due key, in milliseconds since 1970."""
    return int.from_bytes(key[1:_DUE_END])


def due_key(interaction_key: bytes, value: bytes) -> bytes:
    """The due key that belongs to an interaction with this value."""
    return DUE + value[: _DUE_END - 1] + interaction_key[1:]


def _close_and_delete(db: Rdict, directory: Path) -> None:
    db.close()
    shutil.rmtree(directory, ignore_errors=True)


@cache
def _shared() -> tuple[Cache, WriteBufferManager]:
    """The block cache and the bound on memtables, which all stores of a process share."""
    cache = Cache(_CACHE_BYTES)
    return cache, WriteBufferManager.new_write_buffer_manager_with_cache(_MEMTABLE_BYTES, False, cache)


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_compression_type(DBCompressionType.none())  # Ids and digests look random.
    options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
    cache, memtables = _shared()
    options.set_write_buffer_manager(memtables)
    blocks = BlockBasedOptions()
    blocks.set_block_cache(cache)
    blocks.set_bloom_filter(_BLOOM_BITS, False)  # Most ids that are asked for are new.
    blocks.set_data_block_index_type(DataBlockIndexType.binary_and_hash())
    options.set_block_based_table_factory(blocks)
    options.set_memtable_prefix_bloom_ratio(_MEMTABLE_BLOOM_RATIO)  # The same for memtables.
    options.set_memtable_whole_key_filtering(True)
    return options
