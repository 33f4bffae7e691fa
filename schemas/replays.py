"""Records of the topic `replays`: claims and receipts, both keyed by the dead letter's id (docs/adr/0010).

A claim holds the bytes that will be put back for a letter. Only the first claim on a letter counts. A receipt holds the
location that these bytes were written to. The record that is put back carries marks: the letter's id and the claim.
"""

from typing import NamedTuple

from schemas.dead_letters import REPLAY_NONCE, REPLAY_OF
from schemas.headers import Headers, text_of

LETTER = "letter"
"""Header: the id of the dead letter."""
CLAIM = "claim"
"""Header: a random word that identifies the claim."""
LOCATION = "location"
"""Header of a receipt only: TOPIC/PARTITION/OFFSET of the record that was written."""

MARK_BYTES = 1024
"""The longest id or claim that a mark can have. A longer one was written by another client."""


class Claim(NamedTuple):
    """A statement that a process will put `value` back for the letter. It is written before the record itself."""

    letter_id: str
    nonce: str
    value: bytes

    def headers(self) -> list[tuple[str, bytes | None]]:
        """The Kafka headers. `value` is the Kafka record's value and not among them."""
        return [(LETTER, self.letter_id.encode()), (CLAIM, self.nonce.encode())]

    def marks(self) -> list[tuple[str, bytes | None]]:
        """The headers that the record itself gets, behind its own."""
        return [(REPLAY_OF, self.letter_id.encode()), (REPLAY_NONCE, self.nonce.encode())]


class Receipt(NamedTuple):
    """The location of the record that was put back under the claim `nonce`. It is written after the record itself."""

    letter_id: str
    nonce: str
    location: str

    def headers(self) -> list[tuple[str, bytes | None]]:
        """The Kafka headers. A receipt has no value."""
        return [(LETTER, self.letter_id.encode()), (CLAIM, self.nonce.encode()), (LOCATION, self.location.encode())]


def from_record(value: bytes | None, headers: Headers) -> Claim | Receipt | None:
    """Read a record of the topic. Returns None if its headers are not those of a claim or a receipt."""
    found = {name: text_of(text) for name, text in headers}
    if not found.get(LETTER) or not found.get(CLAIM):
        return None
    if LOCATION in found:
        return Receipt(found[LETTER], found[CLAIM], found[LOCATION])
    return Claim(found[LETTER], found[CLAIM], value or b"")


def marks_of(headers: Headers) -> tuple[str, str]:
    """The letter's id and the claim that the headers of a record name; both empty if they name none.

    The last pair counts. Any client can write such headers, so they prove nothing by themselves.
    """
    at = _marks_at(headers)
    return ("", "") if at is None else (text_of(headers[at][1]), text_of(headers[at + 1][1]))


def without_marks(headers: Headers) -> Headers:
    """The headers without their last pair of marks, if there is one."""
    at = _marks_at(headers)
    return headers if at is None else [*headers[:at], *headers[at + 2 :]]


def _marks_at(headers: Headers) -> int | None:
    for at in range(len(headers) - 2, -1, -1):
        pair = headers[at : at + 2]
        if [name for name, _ in pair] == [REPLAY_OF, REPLAY_NONCE]:
            return at if all(0 < len(value or b"") <= MARK_BYTES for _, value in pair) else None
    return None
