"""The bytes of a state entry: one interaction, as a checkpoint holds it. The core and the kernel write the same.

    key    workspace, bot, channel: each its length and its UTF-8; then the channel user's UTF-8, up to the end
    value  due, number of conversations, number of accepted events, the conversations by time, the events by arrival
      conversation   id (16 bytes), opened - due, first - opened, last - first, messages, 2 * requests + closed
      event          id (16 bytes), its time - that of the event before it (of the first: - due), kind (1 byte)

Numbers are written in sevens of bits, the lowest first, each byte but the last with its high bit set. Differences can
be negative: n >= 0 is written as 2n, n < 0 as -2n - 1. Times are in milliseconds. Kinds are places in EVENT_CLASSES.
An interaction with a conversation of 7.5 messages takes about 200 bytes.
"""

from typing import Final

from meter.core.sessions.conversations import Conversation, Interaction, InteractionKey, Seen
from meter.core.sessions.event_kinds import EVENT_CLASSES

_ID_BYTES: Final = 16
_CLASS_CODES: Final = {name: code for code, name in enumerate(EVENT_CLASSES)}


def pack_key(key: InteractionKey) -> bytes:
    """The bytes of a key; two different keys have different ones."""
    packed = bytearray()
    *channel_scope, user = key
    for name in channel_scope:
        text = name.encode()
        _put(packed, len(text))
        packed += text
    return bytes(packed + user.encode())


def unpack_key(packed: bytes) -> InteractionKey:
    """What `pack_key` was given. Raises ValueError, or IndexError where it breaks off."""
    channel_scope: list[str] = []
    at = 0
    for _ in range(3):
        size, at = _decode_varint(packed, at)
        channel_scope.append(packed[at : at + size].decode())
        at += size
    workspace_id, bot_id, channel = channel_scope
    return workspace_id, bot_id, channel, packed[at:].decode()


def pack_interaction(interaction: Interaction) -> bytes:
    """The bytes of an interaction's state."""
    packed = bytearray()
    due_ms = before_ms = interaction.due_ms
    _put_signed(packed, due_ms)
    _put(packed, len(interaction.conversations))
    _put(packed, len(interaction.seen))
    for each in interaction.conversations:
        packed += bytes.fromhex(each.conversation_id)
        _put_signed(packed, each.opened_ms - due_ms)
        _put_signed(packed, each.first_ms - each.opened_ms)
        _put_signed(packed, each.last_ms - each.first_ms)
        _put(packed, each.messages)
        _put(packed, 2 * each.requests + each.closed)
    for seen in interaction.seen:
        packed += seen.event_key
        _put_signed(packed, seen.at_ms - before_ms)
        packed.append(_CLASS_CODES[seen.event_class])
        before_ms = seen.at_ms
    return bytes(packed)


def unpack_interaction(packed: bytes) -> Interaction:
    """What `pack_interaction` was given. Raises ValueError, or IndexError where it breaks off."""
    due_ms, at = _decode_signed(packed, 0)
    conversations, at = _decode_varint(packed, at)
    events, at = _decode_varint(packed, at)
    interaction = Interaction([], [], due_ms)
    for _ in range(conversations):
        conversation, at = _decode_conversation(packed, at, due_ms)
        interaction.conversations.append(conversation)
    at_ms = due_ms
    for _ in range(events):
        event_key = packed[at : at + _ID_BYTES]
        delta_ms, at = _decode_signed(packed, at + _ID_BYTES)
        at_ms += delta_ms
        interaction.seen.append(Seen(event_key, at_ms, EVENT_CLASSES[packed[at]]))
        at += 1
    if at != len(packed):
        raise ValueError(f"an entry of {len(packed)} bytes ends after {at}")
    return interaction


def _decode_conversation(packed: bytes, at: int, due_ms: int) -> tuple[Conversation, int]:
    conversation_id = packed[at : at + _ID_BYTES].hex()
    opened_ms, at = _decode_signed(packed, at + _ID_BYTES)
    first_ms, at = _decode_signed(packed, at)
    last_ms, at = _decode_signed(packed, at)
    messages, at = _decode_varint(packed, at)
    requests, at = _decode_varint(packed, at)
    opened_ms += due_ms
    first_ms += opened_ms
    last_ms += first_ms
    return (
        Conversation(conversation_id, opened_ms, first_ms, last_ms, messages, requests >> 1, bool(requests & 1)),
        at,
    )


def _put(to: bytearray, number: int) -> None:
    while number >= 0x80:
        to.append(number & 0x7F | 0x80)
        number >>= 7
    to.append(number)


def _put_signed(to: bytearray, number: int) -> None:
    _put(to, 2 * number if number >= 0 else -2 * number - 1)


def _decode_varint(packed: bytes, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where it ends."""
    number = shift = 0
    while packed[at] >= 0x80:
        number |= (packed[at] & 0x7F) << shift
        shift += 7
        at += 1
    return number | packed[at] << shift, at + 1


def _decode_signed(packed: bytes, at: int) -> tuple[int, int]:
    number, at = _decode_varint(packed, at)
    return (number >> 1) ^ -(number & 1), at
