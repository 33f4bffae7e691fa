"""The bytes of a state entry: an interaction or a bucket of ids. The core and the kernel write the same bytes.

    interaction      due, number of conversations, the conversations by time
      conversation   id (16 bytes), opened - due, first - opened, last - first, messages, 2 * requests + closed
    bucket           its ids in the order of acceptance, at least one, at most BUCKET_IDS
      id             beginning of the event's key (11 bytes), tag (3 bytes), its time - that of the one before it

Numbers are varints (`varints.py`); differences can be negative. Times are in milliseconds; the first one of a bucket is
itself, not a difference. An interaction with a conversation takes about 40 bytes and its key, an id 15 to 18 bytes.
"""

from typing import Final

from meter.core.sessions.accepted_ids import BUCKET_IDS, SHORT_ID_BYTES, TAG_BYTES, AcceptedId
from meter.core.sessions.conversations import Conversation, Interaction
from meter.core.sessions.varints import append_signed, append_varint, decode_signed, decode_varint

_ID_BYTES: Final = 16
_TAG_END: Final = SHORT_ID_BYTES + TAG_BYTES


def pack_interaction(interaction: Interaction) -> bytes:
    """Encode an interaction's state."""
    packed = bytearray()
    due_ms = interaction.due_ms
    append_signed(packed, due_ms)
    append_varint(packed, len(interaction.conversations))
    for each in interaction.conversations:
        packed += bytes.fromhex(each.conversation_id)
        append_signed(packed, each.opened_ms - due_ms)
        append_signed(packed, each.first_ms - each.opened_ms)
        append_signed(packed, each.last_ms - each.first_ms)
        append_varint(packed, each.messages)
        append_varint(packed, 2 * each.requests + each.closed)
    return bytes(packed)


def unpack_interaction(packed: bytes) -> Interaction:
    """Decode the bytes of `pack_interaction`. Raises ValueError for bytes left over, IndexError if they end early."""
    due_ms, at = decode_signed(packed, 0)
    conversations, at = decode_varint(packed, at)
    interaction = Interaction([], due_ms)
    for _ in range(conversations):
        conversation, at = _decode_conversation(packed, at, due_ms)
        interaction.conversations.append(conversation)
    if at != len(packed):
        raise ValueError(f"an entry of {len(packed)} bytes ends after {at}")
    return interaction


def pack_bucket(ids: list[AcceptedId]) -> bytes:
    """Encode a bucket of ids."""
    packed = bytearray()
    before_ms = 0
    for short_id, at_ms, tag in ids:
        packed += short_id
        packed += tag.to_bytes(TAG_BYTES, "little")
        append_signed(packed, at_ms - before_ms)
        before_ms = at_ms
    return bytes(packed)


def unpack_bucket(packed: bytes) -> list[AcceptedId]:
    """Decode the bytes of `pack_bucket`. Raises ValueError for too many ids or none, IndexError if they end early."""
    ids: list[AcceptedId] = []
    at = at_ms = 0
    while at < len(packed):
        short_id, tag = packed[at : at + SHORT_ID_BYTES], packed[at + SHORT_ID_BYTES : at + _TAG_END]
        delta_ms, at = decode_signed(packed, at + _TAG_END)
        at_ms += delta_ms
        ids.append(AcceptedId(short_id, at_ms, int.from_bytes(tag, "little")))
    if not 1 <= len(ids) <= BUCKET_IDS:
        raise ValueError(f"a bucket has 1 to {BUCKET_IDS} ids, not {len(ids)}")
    return ids


def _decode_conversation(packed: bytes, at: int, due_ms: int) -> tuple[Conversation, int]:
    conversation_id = packed[at : at + _ID_BYTES].hex()
    opened_ms, at = decode_signed(packed, at + _ID_BYTES)
    first_ms, at = decode_signed(packed, at)
    last_ms, at = decode_signed(packed, at)
    messages, at = decode_varint(packed, at)
    requests, at = decode_varint(packed, at)
    opened_ms += due_ms
    first_ms += opened_ms
    last_ms += first_ms
    return (
        Conversation(conversation_id, opened_ms, first_ms, last_ms, messages, requests >> 1, bool(requests & 1)),
        at,
    )
