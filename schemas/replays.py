"""What the topic `replays` holds: claims and receipts, both keyed by the letter's id (docs/adr/0010).

A claim carries the bytes that are put back; the first claim on a letter is the only one that counts. A receipt says
where they were written.
"""

from typing import NamedTuple

LETTER = "letter"
CLAIM = "claim"
"""A random word that tells one claim from another."""
LOCATION = "location"
"""Present on a receipt only: TOPIC/PARTITION/OFFSET of the record that was written."""


class Claim(NamedTuple):
    """Somebody is about to put `value` back for the letter."""

    letter_id: str
    nonce: str
    value: bytes

    def headers(self) -> list[tuple[str, bytes]]:
        """The Kafka headers; the value is the record's value."""
        return [(LETTER, self.letter_id.encode()), (CLAIM, self.nonce.encode())]


class Receipt(NamedTuple):
    """What was claimed under `nonce` lies at `location` now."""

    letter_id: str
    nonce: str
    location: str

    def headers(self) -> list[tuple[str, bytes]]:
        """The Kafka headers; there is no value but them."""
        return [(LETTER, self.letter_id.encode()), (CLAIM, self.nonce.encode()), (LOCATION, self.location.encode())]


def from_record(value: bytes | None, headers: list[tuple[str, bytes]]) -> Claim | Receipt | None:
    """The claim or receipt that a record holds; None for a record that no meter wrote."""
    found = {name: text.decode("utf-8", "replace") for name, text in headers}
    if LETTER not in found or CLAIM not in found:
        return None
    if LOCATION in found:
        return Receipt(found[LETTER], found[CLAIM], found[LOCATION])
    return Claim(found[LETTER], found[CLAIM], value or b"")
