"""Records of the topic `replays`: claims and receipts, both keyed by the dead letter's id (docs/adr/0010).

A claim holds the bytes that will be put back for a letter. Only the first claim on a letter counts. A receipt holds the
location that these bytes were written to.
"""

from typing import NamedTuple

LETTER = "letter"
"""Header: the id of the dead letter."""
CLAIM = "claim"
"""Header: a random word that identifies the claim."""
LOCATION = "location"
"""Header of a receipt only: TOPIC/PARTITION/OFFSET of the record that was written."""


class Claim(NamedTuple):
    """A statement that a process will put `value` back for the letter. It is written before the record itself."""

    letter_id: str
    nonce: str
    value: bytes

    def headers(self) -> list[tuple[str, bytes]]:
        """The Kafka headers. `value` is the Kafka record's value and not among them."""
        return [(LETTER, self.letter_id.encode()), (CLAIM, self.nonce.encode())]


class Receipt(NamedTuple):
    """The location of the record that was put back under the claim `nonce`. It is written after the record itself."""

    letter_id: str
    nonce: str
    location: str

    def headers(self) -> list[tuple[str, bytes]]:
        """The Kafka headers. A receipt has no value."""
        return [(LETTER, self.letter_id.encode()), (CLAIM, self.nonce.encode()), (LOCATION, self.location.encode())]


def from_record(value: bytes | None, headers: list[tuple[str, bytes]]) -> Claim | Receipt | None:
    """Read a record of the topic. Returns None if its headers are not those of a claim or a receipt."""
    found = {name: text.decode("utf-8", "replace") for name, text in headers}
    if LETTER not in found or CLAIM not in found:
        return None
    if LOCATION in found:
        return Receipt(found[LETTER], found[CLAIM], found[LOCATION])
    return Claim(found[LETTER], found[CLAIM], value or b"")
