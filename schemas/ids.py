"""Ids derived from causes. The same cause always gives the same id, in every process and on every repeat."""

from hashlib import blake2b

ID_BYTES = 16
"""128 bits: two of a thousand billion ids collide with a probability below 10^-14."""


def event_key(workspace_id: str, source: str, event_id: str) -> bytes:
    """The identity of an event (DOMAIN, Metering 7): 16 bytes over (workspace, source, id)."""
    return digest(workspace_id, source, event_id)


def digest(*parts: str) -> bytes:
    """Hash the parts to 16 bytes of BLAKE2b.

    Each part is prefixed with its length, so that ("a", "bc") and ("ab", "c") differ for any text.
    """
    return blake2b("\x00".join(f"{len(part)}:{part}" for part in parts).encode(), digest_size=ID_BYTES).digest()


def conversation_id(first_event_key: bytes, at_ms: int) -> str:
    """The id of the conversation that an event opened, in 32 hexadecimal digits.

    It includes the event's time `at_ms`, because an event id is free again after the late horizon and may come back.
    """
    return blake2b(first_event_key, digest_size=ID_BYTES, salt=at_ms.to_bytes(8, "big")).hexdigest()
