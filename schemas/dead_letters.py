"""A record of the dead-letters topic: a refused record and the reason (DOMAIN, Metering 6).

The refused record's key and value are the Kafka key and value. Everything else is in headers. The letter's own come
first; the last of them is SOURCE_HEADERS, and behind it stand the headers of the refused record as they were.
"""

import msgspec

from schemas.headers import Headers, text_of
from schemas.moves import move_of
from schemas.rejection_codes import FOREIGN

# Names of the headers of a record on dead-letters.
CODE = "code"
REASON = "reason"
TOPIC = "source-topic"
PARTITION = "source-partition"
OFFSET = "source-offset"
NULL = "source-null"
"""Present when the refused record had a null value.

Such a letter is written with an empty value, because Kafka takes a null value for a deletion mark. The header keeps a
null value distinct from an empty one.
"""
SOURCE_HEADERS = "source-headers"
"""Present when headers of the refused record follow: how many."""

# Present only when the letter is shortened (schemas/shortened_letters.py).
SHORTENED = "shortened"
"""What is not whole: `key`, `value`, `headers`, or several with commas between."""
VALUE_BYTES, VALUE_SHA256 = "source-value-bytes", "source-value-sha256"
KEY_BYTES, KEY_SHA256 = "source-key-bytes", "source-key-sha256"
HEADER_COUNT = "source-header-count"

REPLAY_OF = "replay-of"
"""Id of the letter that a record was put back for.

On the record that is put back, and on its dead letter if it is refused again. Any client can write it; it counts only
together with REPLAY_NONCE and the bytes that were claimed.
"""
REPLAY_NONCE = "replay-nonce"
"""The word of the claim under which a record was put back. It stands right behind REPLAY_OF."""

_INT32 = 2**31
_INT64 = 2**63


class SourceSize(msgspec.Struct, frozen=True):
    """Lengths and hashes of the refused record of a shortened letter, to recognise the record where it lies.

    `parts` are those that are not whole in the letter. Lengths are None, and hashes empty, for a part that was null.
    """

    parts: str
    value_bytes: int | None
    value_sha256: str
    key_bytes: int | None
    key_sha256: str
    header_count: int


class DeadLetter(msgspec.Struct, frozen=True):
    """A refused record with the location that it was read from and the reason.

    `code` is a `RejectionCode`, or FOREIGN. `reason` is a sentence that names the field. `replay_of` is the
    id of the letter that the refused record says it was put back for, or "", and `replay_nonce` the word of the claim.
    `source_headers` are those of the refused record. `whole` is None unless the letter is shortened: then `key` and
    `value` are beginnings, and `source_headers` the first ones.
    """

    code: str
    reason: str
    source_topic: str
    source_partition: int
    source_offset: int
    key: bytes | None
    value: bytes | None
    replay_of: str = ""
    replay_nonce: str = ""
    source_headers: Headers = ()
    whole: SourceSize | None = None

    @property
    def letter_id(self) -> str:
        """The location of the refused record, TOPIC/PARTITION/OFFSET, as operators type it: `chat-events/3/2238`."""
        return f"{self.source_topic}/{self.source_partition}/{self.source_offset}"

    @property
    def moved_from(self) -> str:
        """Where the refused record lay before it was moved to where it was read, or "". Its own headers say so."""
        move = move_of(self.source_headers, self.source_topic)
        return "" if move is None else move.location

    @property
    def value_bytes(self) -> int | None:
        """The length of the refused record's value; None if it had none."""
        if self.whole is not None:
            return self.whole.value_bytes
        return None if self.value is None else len(self.value)

    @property
    def is_shortened(self) -> bool:
        """Whether the letter could not hold the whole record."""
        return self.whole is not None

    def headers(self) -> list[tuple[str, bytes | None]]:
        """The Kafka headers: all fields except `key` and `value`."""
        own = [
            (CODE, self.code),
            (REASON, self.reason),
            (TOPIC, self.source_topic),
            (PARTITION, str(self.source_partition)),
            (OFFSET, str(self.source_offset)),
        ]
        if self.value is None:
            own.append((NULL, "1"))
        if self.replay_of:
            own += [(REPLAY_OF, self.replay_of), (REPLAY_NONCE, self.replay_nonce)]
        if self.whole is not None:
            own += _whole_headers(self.whole)
        if self.source_headers:
            own.append((SOURCE_HEADERS, str(len(self.source_headers))))
        return [*((name, text.encode("utf-8", "backslashreplace")) for name, text in own), *self.source_headers]


def _whole_headers(whole: SourceSize) -> list[tuple[str, str]]:
    found = [(SHORTENED, whole.parts), (HEADER_COUNT, str(whole.header_count))]
    if whole.value_bytes is not None:
        found += [(VALUE_BYTES, str(whole.value_bytes)), (VALUE_SHA256, whole.value_sha256)]
    if whole.key_bytes is not None:
        found += [(KEY_BYTES, str(whole.key_bytes)), (KEY_SHA256, whole.key_sha256)]
    return found


def from_record(key: bytes | None, value: bytes | None, headers: Headers) -> DeadLetter:
    """Read a record of the dead-letters topic.

    A record that the meter did not write lacks the headers. It gets code `foreign`, topic "", partition and offset -1.
    Raises ValueError if a header that must be a number is none, or none that a table can hold.
    """
    names = [name for name, _ in headers]
    split = names.index(SOURCE_HEADERS) if SOURCE_HEADERS in names else len(names)
    found = {name: text_of(text) for name, text in headers[:split]}
    return DeadLetter(
        code=found.get(CODE, FOREIGN),
        reason=found.get(REASON, "headers: this record was not written by the meter"),
        source_topic=found.get(TOPIC, ""),
        source_partition=_number(found, PARTITION, _INT32),
        source_offset=_number(found, OFFSET, _INT64),
        key=key,
        value=None if NULL in found else value,
        replay_of=found.get(REPLAY_OF, ""),
        replay_nonce=found.get(REPLAY_NONCE, ""),
        source_headers=tuple(headers[split + 1 :]),
        whole=_whole(found) if SHORTENED in found else None,
    )


def _whole(found: dict[str, str]) -> SourceSize:
    value_bytes, key_bytes = _number(found, VALUE_BYTES, _INT64), _number(found, KEY_BYTES, _INT64)
    return SourceSize(
        found[SHORTENED],
        None if value_bytes < 0 else value_bytes,
        found.get(VALUE_SHA256, ""),
        None if key_bytes < 0 else key_bytes,
        found.get(KEY_SHA256, ""),
        max(0, _number(found, HEADER_COUNT, _INT32)),
    )


def _number(found: dict[str, str], name: str, limit: int) -> int:
    """The number of a header, -1 if it is absent. Raises ValueError."""
    number = int(found.get(name, "-1"))
    if not -1 <= number < limit:
        raise ValueError(f"{name} is out of range")
    return number
