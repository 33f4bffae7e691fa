"""Headers of a moved record, which say where it lay before (docs/adr/0017).

A record that lies in another partition than its workspace's is written again to the right one: the same bytes, under
the key workspace_id, with these headers. Any Kafka client can write such headers itself. So they never let a record do
what it could not do without them.
"""

import re
from typing import Final, NamedTuple

from schemas.headers import Headers, size_of
from schemas.topics import ACCOUNT_COMMANDS, CHAT_EVENTS, WALLET_INPUTS

MOVED_FROM: Final = "moved-from"
"""TOPIC/PARTITION/OFFSET of where the record lay. A dead letter keeps it with the record's other headers."""
RECEIVED_MS: Final = "moved-received-ms"
"""The record's Kafka timestamp there, in milliseconds since 1970."""
AMONG: Final = "moved-among"
"""How many partitions the topic had that it moved to. Absent in records of earlier versions."""

LEFT_OUT: Final = "moved-headers-left-out"
"""How many of the record's own headers did not fit and are left out. Present only if there are any."""

_ORIGINS: Final = {
    CHAT_EVENTS.name: (CHAT_EVENTS.name,),
    WALLET_INPUTS.name: (WALLET_INPUTS.name, ACCOUNT_COMMANDS.name),
}
"""Topic -> the topics from which records move to it."""

_NAMES: Final = (MOVED_FROM, RECEIVED_MS, AMONG)
_OF_A_MOVE: Final = (*_NAMES, LEFT_OUT)
_NUMBER: Final = re.compile(rb"[0-9]{1,18}")

_LEFT_OUT_BYTES: Final = size_of([(LEFT_OUT, b"9" * 18)])


class Move(NamedTuple):
    """Where a record lay, when it had arrived there, and among how many partitions its own was chosen; 0 if unknown."""

    topic: str
    partition: int
    offset: int
    received_ms: int
    among: int = 0

    @property
    def location(self) -> str:
        """TOPIC/PARTITION/OFFSET."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    def headers(self, own: Headers, room_bytes: int) -> list[tuple[str, bytes | None]]:
        """Return the moved record's headers: those of the move, and `own`, as many as fit in `room_bytes` with them.

        The last are kept first, because the marks of a replay are behind all others. Left out of `own` without being
        counted are headers with the names of a move.
        """
        headers: list[tuple[str, bytes | None]] = [
            (MOVED_FROM, self.location.encode()),
            (RECEIVED_MS, str(self.received_ms).encode()),
            *([(AMONG, str(self.among).encode())] if self.among else []),
        ]
        own = without_move(own)
        left_bytes = room_bytes - size_of(headers) - _LEFT_OUT_BYTES
        kept: list[tuple[str, bytes | None]] = []
        for header in reversed(own):
            size_bytes = size_of([header])
            if size_bytes <= left_bytes:
                left_bytes -= size_bytes
                kept.append(header)
        if len(kept) < len(own):
            headers.append((LEFT_OUT, str(len(own) - len(kept)).encode()))
        return [*headers, *reversed(kept)]


def move_of(headers: Headers, topic: str) -> Move | None:
    """Return the move that brought a record of `topic` to where it lies; None if it was not moved.

    Headers that no move writes count as none: a header that is absent, there twice, not well-formed, or that names a
    topic from which nothing moves to `topic`.
    """
    found = [(name, value or b"") for name, value in headers if name in _NAMES]
    named = dict(found)
    if len(found) != len(named) or MOVED_FROM not in named or RECEIVED_MS not in named:
        return None
    origin, _, where = named[MOVED_FROM].partition(b"/")
    numbers = [*where.split(b"/"), named[RECEIVED_MS], named.get(AMONG, b"0")]
    if len(numbers) != 4 or not all(_NUMBER.fullmatch(number) for number in numbers):
        return None
    name = origin.decode("utf-8", "replace")
    return Move(name, *map(int, numbers)) if name in _ORIGINS.get(topic, ()) else None


def without_move(headers: Headers) -> Headers:
    """Return the headers without those of a move."""
    return tuple(header for header in headers if header[0] not in _OF_A_MOVE)


def left_out_headers(headers: Headers) -> int:
    """Return how many headers a moved record has lost in its move, as its own headers say; 0 if it lost none."""
    counts = [value or b"" for name, value in headers if name == LEFT_OUT]
    return int(counts[0]) if counts and _NUMBER.fullmatch(counts[0]) else 0
