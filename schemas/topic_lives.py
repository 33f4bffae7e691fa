"""Lives of topics: which topics a cluster has now, as Kafka names them by an id that a new topic never gets again.

A topic that is deleted and created again has the same name, begins at offset 0, and has another id. Offsets mean the
same record only within one life. Both programs compare lives when they start (docs/adr/0022). The client that they use
knows no topic ids, so the bytes of Kafka's Metadata request, version 10, are written and read here.
"""

from collections.abc import Collection, Iterable
from struct import Struct
from typing import Final

import msgspec

METADATA_KEY: Final = 3
METADATA_VERSION: Final = 10
"""The first version of the request whose answer names topic ids. Its header has tagged fields."""

_INT16: Final = Struct(">h")
_ID_BYTES: Final = 16
_NO_ID: Final = bytes(_ID_BYTES)


class TopicLife(msgspec.Struct, frozen=True):
    """One topic as it is now: its id in hexadecimal, "" where the broker gives none, and its number of partitions."""

    name: str
    topic_id: str
    partitions: int


class Cluster(msgspec.Struct, frozen=True):
    """A cluster's id, and the lives of its topics by name. Topics that do not exist are not in it."""

    cluster_id: str
    topics: dict[str, TopicLife]


def metadata_request(names: Iterable[str]) -> bytes:
    """The body of the request for these topics. The broker must not create any of them."""
    topics = [_NO_ID + _text(name) + b"\0" for name in names]
    return _number(len(topics) + 1) + b"".join(topics) + b"\0\0\0\0"


def read_metadata(body: bytes) -> Cluster:
    """Read the body of the answer. Raises ValueError where it breaks off."""
    answer = _Answer(body)
    answer.skip(4)  # How long the client should wait.
    for _ in range(answer.length()):
        answer.skip(4)
        answer.text()
        answer.skip(4)
        answer.text()
        answer.tags()
    cluster_id = answer.text()
    answer.skip(4)
    found = [_read_topic(answer) for _ in range(answer.length())]
    return Cluster(cluster_id, {life.name: life for life in found if life is not None})


def differences(known: Collection[TopicLife], now: Cluster) -> list[str]:
    """Phrases that say how the topics of `now` differ from the `known` ones. An id that is "" is not compared.

    A topic with more partitions than it had is the same one: its records are where they were.
    """
    phrases = []
    for life in known:
        present = now.topics.get(life.name)
        if present is None:
            phrases.append(f"{life.name} does not exist")
        elif life.topic_id and present.topic_id and life.topic_id != present.topic_id:
            phrases.append(f"{life.name} was deleted and created again")
        elif life.partitions > present.partitions:
            phrases.append(f"{life.name} had {life.partitions} partitions and has {present.partitions}")
    return phrases


def _read_topic(answer: "_Answer") -> TopicLife | None:
    error, name = answer.int16(), answer.text()
    topic_id = answer.next_bytes(_ID_BYTES)
    answer.skip(1)
    partitions = answer.length()
    for _ in range(partitions):
        answer.skip(2 + 4 + 4 + 4)
        for _ in range(3):  # Its copies, those in sync, those away.
            answer.skip(4 * answer.length())
        answer.tags()
    answer.skip(4)
    answer.tags()
    return None if error else TopicLife(name, "" if topic_id == _NO_ID else topic_id.hex(), partitions)


def _number(value: int) -> bytes:
    """A number as Kafka writes lengths: seven bits a byte, the lowest first."""
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def _text(value: str) -> bytes:
    encoded = value.encode()
    return _number(len(encoded) + 1) + encoded


class _Answer:
    """Reads the fields of an answer one after another. Every method raises ValueError where the bytes end."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def next_bytes(self, size_bytes: int) -> bytes:
        found = self._body[self._at : self._at + size_bytes]
        if len(found) < size_bytes:
            raise ValueError("the broker's answer breaks off")
        self._at += size_bytes
        return found

    def skip(self, size_bytes: int) -> None:
        self.next_bytes(size_bytes)

    def int16(self) -> int:
        return int(_INT16.unpack(self.next_bytes(_INT16.size))[0])

    def number(self) -> int:
        value = shift = 0
        while True:
            (byte,) = self.next_bytes(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def length(self) -> int:
        """The number of elements of an array; 0 for null."""
        return max(0, self.number() - 1)

    def text(self) -> str:
        """A text; "" for null."""
        return self.next_bytes(max(0, self.number() - 1)).decode()

    def tags(self) -> None:
        for _ in range(self.number()):
            self.number()
            self.skip(self.number())
