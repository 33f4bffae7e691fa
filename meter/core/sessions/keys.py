"""The bytes of keys of state entries: of an interaction, and of a bucket of ids.

    interaction  workspace, bot, channel: each its length and its UTF-8; then the channel user's UTF-8, up to the end
    bucket       a byte 0, then its number in eight bytes, big-endian

A length is a varint. A workspace has at least one character, so no key of an interaction begins with 0.
"""

from typing import Final

from meter.core.sessions.conversations import InteractionKey
from meter.core.sessions.varints import append_varint, decode_varint

_BUCKET: Final = b"\x00"
_NUMBER_BYTES: Final = 8


def pack_key(key: InteractionKey) -> bytes:
    """Encode an interaction's key. Different keys give different bytes."""
    packed = bytearray()
    *channel_scope, user = key
    for name in channel_scope:
        text = name.encode()
        append_varint(packed, len(text))
        packed += text
    return bytes(packed + user.encode())


def unpack_key(packed: bytes) -> InteractionKey:
    """Decode the bytes of `pack_key`. Raises ValueError if text is not UTF-8, IndexError if a length is missing."""
    channel_scope: list[str] = []
    at = 0
    for _ in range(3):
        size, at = decode_varint(packed, at)
        channel_scope.append(packed[at : at + size].decode())
        at += size
    workspace_id, bot_id, channel = channel_scope
    return workspace_id, bot_id, channel, packed[at:].decode()


def pack_bucket_key(number: int) -> bytes:
    """Encode the key of a bucket of ids. Keys sort as numbers do."""
    return _BUCKET + number.to_bytes(_NUMBER_BYTES, "big")


def is_bucket_key(packed: bytes) -> bool:
    """Whether the key is of a bucket of ids, and not of an interaction."""
    return packed[:1] == _BUCKET


def unpack_bucket_key(packed: bytes) -> int:
    """Decode the bytes of `pack_bucket_key`. Raises ValueError if there are more or fewer."""
    if len(packed) != len(_BUCKET) + _NUMBER_BYTES:
        raise ValueError(f"the key of a bucket has {len(_BUCKET) + _NUMBER_BYTES} bytes, not {len(packed)}")
    return int.from_bytes(packed[len(_BUCKET) :], "big")
