"""Kafka headers as any client may write them: repeated names, null values, names that are not UTF-8.

A name is a `str` as in Kafka's clients. Bytes in it that are not UTF-8 stand as lone surrogates, as Python keeps such
file names, so that the name can be written again byte by byte.
"""

from collections.abc import Sequence
from typing import Final

Headers = Sequence[tuple[str, bytes | None]]

_ENTRY_BYTES: Final = 10
"""What Kafka adds to a header for two lengths, at most."""


def name_of(raw: bytes) -> str:
    """The name that a header has on the wire, as text."""
    return raw.decode("utf-8", "surrogateescape")


def name_bytes(name: str) -> bytes:
    """The bytes of a name on the wire: the inverse of `name_of`."""
    return name.encode("utf-8", "surrogateescape")


def is_utf8(name: str) -> bool:
    """Whether Kafka's client can write the name. It refuses one whose bytes were not UTF-8."""
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)


def text_of(value: bytes | None) -> str:
    """A header's value as text; empty for null. What is not UTF-8 is replaced."""
    return (value or b"").decode("utf-8", "replace")


def size_of(headers: Headers) -> int:
    """How many bytes the headers take in a record, at most."""
    return sum(len(name_bytes(name)) + len(value or b"") + _ENTRY_BYTES for name, value in headers)
