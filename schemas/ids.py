"""Ids derived from causes: the same cause has the same id, whoever computes it and however often."""

from hashlib import blake2b

ID_BYTES = 16
"""128 bits: two of a thousand billion ids collide with a probability below 10^-14."""


def event_key(workspace_id: str, source: str, event_id: str) -> bytes:
    """What makes an event the same event (DOMAIN, Metering 7): 16 bytes over (workspace, source, id)."""
    return digest(workspace_id, source, event_id)


def digest(*parts: str) -> bytes:
    """16 bytes over the parts; a separator that JSON text cannot smuggle in keeps ("a", "bc") from ("ab", "c")."""
    return blake2b("\x00".join(f"{len(part)}:{part}" for part in parts).encode(), digest_size=ID_BYTES).digest()


def conversation_id(first_event_key: bytes, at_ms: int) -> str:
    """The id of the conversation that an event opened; with its time, because event ids may come back after days."""
    return blake2b(first_event_key, digest_size=ID_BYTES, salt=at_ms.to_bytes(8, "big")).hexdigest()
