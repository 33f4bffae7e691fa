"""The bytes of a state entry: one interaction as a checkpoint holds it. The core and the kernel write the same bytes.

    key    workspace, bot, channel: each its length and its UTF-8; then the channel user's UTF-8, up to the end
    value  due, number of conversations, number of accepted events, the conversations by time, the events by arrival
      conversation   id (16 bytes), opened - due, first - opened, last - first, messages, 2 * requests + closed
      event          id (16 bytes), its time - that of the event before it (of the first: - due), class (1 byte)

Numbers are varints: seven bits a byte, the lowest first, the high bit set in each byte but the last. Differences can be
negative and are zigzag-encoded: n >= 0 as 2n, n < 0 as -2n - 1. Times are in milliseconds. A class is an index in
EVENT_CLASSES. An interaction with a conversation of 7.5 messages takes about 200 bytes.
"""

from typing import Final

from meter.core.sessions.conversations import Conversation, Interaction, InteractionKey, Seen
from meter.core.sessions.event_kinds import EVENT_CLASSES

_ID_BYTES: Final = 16
_CLASS_CODES: Final = {name: code for code, name in enumerate(EVENT_CLASSES)}


def pack_key(key: InteractionKey) -> bytes:
    """Encode an interaction's key. Different keys give different bytes."""
    packed = bytearray()
    *channel_scope, user = key
    for name in channel_scope:
        text = name.encode()
        _append_varint(packed, len(text))
        packed += text
    return bytes(packed + user.encode())


def unpack_key(packed: bytes) -> InteractionKey:
    """Decode the bytes of `pack_key`. Raises ValueError if text is not UTF-8, IndexError if a length is missing."""
    channel_scope: list[str] = []
    at = 0
    for _ in range(3):
        size, at = _decode_varint(packed, at)
        channel_scope.append(packed[at : at + size].decode())
        at += size
    workspace_id, bot_id, channel = channel_scope
    return workspace_id, bot_id, channel, packed[at:].decode()


def pack_interaction(interaction: Interaction) -> bytes:
    """Encode an interaction's state."""
    packed = bytearray()
    due_ms = previous_ms = interaction.due_ms
    _append_signed(packed, due_ms)
    _append_varint(packed, len(interaction.conversations))
    _append_varint(packed, len(interaction.seen))
    for each in interaction.conversations:
        packed += bytes.fromhex(each.conversation_id)
        _append_signed(packed, each.opened_ms - due_ms)
        _append_signed(packed, each.first_ms - each.opened_ms)
        _append_signed(packed, each.last_ms - each.first_ms)
        _append_varint(packed, each.messages)
        _append_varint(packed, 2 * each.requests + each.closed)
    for seen in interaction.seen:
        packed += seen.event_key
        _append_signed(packed, seen.at_ms - previous_ms)
        packed.append(_CLASS_CODES[seen.event_class])
        previous_ms = seen.at_ms
    return bytes(packed)


def unpack_interaction(packed: bytes) -> Interaction:
    """Decode the bytes of `pack_interaction`.

    Raises ValueError for bytes left over, IndexError if the bytes end early or hold an unknown class.
    """
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


def _append_varint(packed: bytearray, number: int) -> None:
    while number >= 0x80:
        packed.append(number & 0x7F | 0x80)
        number >>= 7
    packed.append(number)


def _append_signed(packed: bytearray, number: int) -> None:
    _append_varint(packed, 2 * number if number >= 0 else -2 * number - 1)


def _decode_varint(packed: bytes, at: int) -> tuple[int, int]:
    """The number that begins at index `at`, and the index after it."""
    number = shift = 0
    while packed[at] >= 0x80:
        number |= (packed[at] & 0x7F) << shift
        shift += 7
        at += 1
    return number | packed[at] << shift, at + 1


def _decode_signed(packed: bytes, at: int) -> tuple[int, int]:
    number, at = _decode_varint(packed, at)
    return (number >> 1) ^ -(number & 1), at
