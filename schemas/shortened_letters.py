"""Dead letters that cannot hold their record: what is kept of it, and how the record is recognised elsewhere."""

from hashlib import sha256
from typing import Final

import msgspec

from schemas.dead_letters import DeadLetter, SourceSize
from schemas.headers import Headers, size_of
from schemas.topics import MAX_RECORD_BYTES

PART_BYTES: Final = 64 * 1024
"""How much a shortened letter keeps of the key, of the value, and of all headers together, each from its beginning."""

REASON_BYTES: Final = 4 * 1024
"""The longest reason. A letter with a longer one has its beginning."""

BATCH_BYTES: Final = 1024
"""More than Kafka adds to a record that is a batch of its own, headers aside: their lengths are in `size_of`."""


def fitted(letter: DeadLetter) -> DeadLetter:
    """Return a letter that the topic takes: `letter` itself, or a shortened one if its record is too large."""
    reason = letter.reason.encode("utf-8", "backslashreplace")
    if len(reason) > REASON_BYTES:
        letter = msgspec.structs.replace(letter, reason=reason[:REASON_BYTES].decode("utf-8", "ignore"))
    if written_bytes(letter) <= MAX_RECORD_BYTES:
        return letter
    key, value, headers = _start(letter.key), _start(letter.value), _first(letter.source_headers)
    pairs = (("key", key, letter.key), ("value", value, letter.value), ("headers", headers, letter.source_headers))
    parts = ",".join(name for name, kept, part in pairs if len(kept or b"") < len(part or b""))
    whole = whole_of(letter.key, letter.value, letter.source_headers, parts)
    return msgspec.structs.replace(letter, key=key, value=value, source_headers=headers, whole=whole)


def without_value(letter: DeadLetter) -> DeadLetter:
    """Return a letter that says how long the value of its record is, and holds nothing of it."""
    whole = whole_of(letter.key, letter.value, letter.source_headers, "value")
    return msgspec.structs.replace(letter, value=b"", whole=whole)


def written_bytes(letter: DeadLetter) -> int:
    """How many bytes the letter takes on its topic as a batch of its own, at most."""
    return len(letter.key or b"") + len(letter.value or b"") + size_of(letter.headers()) + BATCH_BYTES


def whole_of(key: bytes | None, value: bytes | None, headers: Headers, parts: str) -> SourceSize:
    """Lengths and hashes of a record, of which a letter cannot hold the `parts` whole."""
    return SourceSize(
        parts,
        None if value is None else len(value),
        "" if value is None else sha256(value).hexdigest(),
        None if key is None else len(key),
        "" if key is None else sha256(key).hexdigest(),
        len(headers),
    )


def _start(part: bytes | None) -> bytes | None:
    return None if part is None else part[:PART_BYTES]


def _first(headers: Headers) -> Headers:
    """The first headers, as many as fit. One that alone is too large ends them: a part of a value would be wrong."""
    kept: list[tuple[str, bytes | None]] = []
    left_bytes = PART_BYTES
    for header in headers:
        left_bytes -= size_of([header])
        if left_bytes < 0:
            break
        kept.append(header)
    return tuple(kept)
