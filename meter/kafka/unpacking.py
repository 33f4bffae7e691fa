"""Decompressing what a client has compressed, within a bound of bytes.

40 KiB of gzip can hold 40 MiB of blanks. The client's own decoders have no bound, so they are not used.
"""

import struct
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from schemas.codecs import PACKAGE

FIRST_GUESS: Final = 16
"""How many times its own length a text is first given room for; the room grows as often as it is too small."""

_XERIAL: Final = b"\x82SNAPPY\0"
"""How snappy in blocks begins, as Kafka's Java client writes it. After it come two version numbers of 4 bytes."""

_XERIAL_BYTES: Final = 16
_BLOCK_LENGTH: Final = struct.Struct(">i")


class NotUnpackableError(Exception):
    """The text is no text of its codec, or is longer than the bound. The message says which."""


def unpack(codec: int, packed: bytes, most_bytes: int) -> bytes:
    """Decompress `packed`, which may become `most_bytes` long. Takes memory for twice as much at the most.

    `codec` is Kafka's number: 1 gzip, 2 snappy, 3 lz4, 4 zstd. Raises NotUnpackableError.
    """
    if codec not in _UNPACK:
        raise NotUnpackableError(f"codec {codec} is not one of Kafka's")
    try:
        return _UNPACK[codec](packed, most_bytes)
    except (_library().DecompressionError, struct.error, ValueError) as error:
        raise NotUnpackableError(f"it cannot be decompressed within {most_bytes} bytes: {error}") from error


def _library() -> Any:
    # Not imported at the top: where it is missing, a command says so in a sentence (`schemas.codecs.require_codecs`).
    return import_module(PACKAGE)


def _within(codec: str) -> Callable[[bytes, int], bytes]:
    """Return a decoder that fills rooms of growing size. The library never enlarges one, and says when it is full."""

    def unpack(packed: bytes, most_bytes: int) -> bytes:
        library = _library()
        into = getattr(library, codec).decompress_into
        size = min(most_bytes, max(len(packed), 4_096) * FIRST_GUESS)
        while True:
            room = bytearray(size)
            try:
                return bytes(memoryview(room)[: into(packed, room)])
            except library.DecompressionError:
                if size == most_bytes:
                    raise
                size = min(most_bytes, size * FIRST_GUESS)

    return unpack


def _unpack_snappy(packed: bytes, most_bytes: int) -> bytes:
    """Decompress one block, as librdkafka writes it, or many. Each says its length, so no room is ever too small."""
    snappy = _library().snappy
    blocks = _blocks(packed) if packed.startswith(_XERIAL) else [packed]
    left = most_bytes
    for block in blocks:
        left -= snappy.decompress_raw_len(block)
        if left < 0:
            raise NotUnpackableError(f"it cannot be decompressed within {most_bytes} bytes: it says that it is longer")
    return b"".join(bytes(snappy.decompress_raw(block)) for block in blocks)


def _blocks(packed: bytes) -> list[memoryview]:
    view, at = memoryview(packed), _XERIAL_BYTES
    blocks = []
    while at < len(packed):
        (length,) = _BLOCK_LENGTH.unpack_from(packed, at)
        at += _BLOCK_LENGTH.size
        if not 0 <= length <= len(packed) - at:
            raise ValueError("a block goes beyond the end")
        blocks.append(view[at : at + length])
        at += length
    return blocks


_UNPACK: Final[dict[int, Callable[[bytes, int], bytes]]] = {
    1: _within("gzip"),
    2: _unpack_snappy,
    3: _within("lz4"),
    4: _within("zstd"),
}
