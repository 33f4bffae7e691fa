"""The ids of accepted events, in buckets: what recognises a repeat and a conflict (DOMAIN, Metering 7).

Ids are in the order in which their events were accepted. A bucket is closed once it has BUCKET_IDS of them, so a
checkpoint writes only the buckets that are new and the one that is still open. Forgetting drops whole buckets, the
oldest first. The bounds of buckets follow from the log alone: not from the horizon, from checkpoints or from restarts.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Final, NamedTuple

from meter.core.sessions.event_kinds import EVENT_CLASSES

BUCKET_IDS: Final = 256
SHORT_ID_BYTES: Final = 11
"""Of an event's key (`schemas.ids.event_key`). 88 bits: docs/adr/0027-ids-in-buckets.md says what that may cost."""
TAG_BYTES: Final = 3
_DIGEST_BYTES: Final = 16
_CLASS_SHIFT: Final = 8 * TAG_BYTES - 5
_CLASS_BITS: Final = {name: code << _CLASS_SHIFT for code, name in enumerate(EVENT_CLASSES)}


class AcceptedId(NamedTuple):
    """An accepted event: the beginning of its key, its time, and the tag of its interaction and class.

    A repeat has the same three. Another event with the same id is a conflict.
    """

    short_id: bytes
    at_ms: int
    tag: int


def tag_of(packed_key: bytes, event_class: str) -> int:
    """Return the tag of an event: 24 bits of its interaction's packed key, and the class in the upper five of them.

    Two classes of one interaction never have the same tag.
    """
    digest = blake2b(packed_key, digest_size=_DIGEST_BYTES).digest()
    return int.from_bytes(digest[:TAG_BYTES], "little") ^ _CLASS_BITS[event_class]


class Bucket:
    """Up to BUCKET_IDS ids in the order of acceptance, and the newest of their times."""

    def __init__(self, ids: list[AcceptedId]) -> None:
        self.ids = ids
        self.newest_ms = max((each.at_ms for each in ids), default=0)

    def append(self, accepted: AcceptedId) -> None:
        """Add the id that was accepted last."""
        self.ids.append(accepted)
        self.newest_ms = max(self.newest_ms, accepted.at_ms)


class AcceptedIds:
    """The accepted ids of a partition. Call `restore` at most once, before the first `add`."""

    def __init__(self) -> None:
        self.buckets: dict[int, Bucket] = {}
        """By number, which is also the order of acceptance. Only the last one is open."""
        self.touched: set[int] = set()
        """Buckets that changed or were dropped since the last checkpoint, whose writer replaces the set."""
        self._known: dict[bytes, AcceptedId] = {}

    def restore(self, buckets: dict[int, list[AcceptedId]]) -> None:
        """Load the buckets of a checkpoint. Of an id that came again after the horizon the later one counts."""
        for number in sorted(buckets):
            self.buckets[number] = Bucket(buckets[number])
            self._known.update((each.short_id, each) for each in buckets[number])

    def __len__(self) -> int:
        return sum(len(bucket.ids) for bucket in self.buckets.values())

    def find(self, short_id: bytes) -> AcceptedId | None:
        """Return the newest accepted event with this id. It may be out of reach, so that its id is free again."""
        return self._known.get(short_id)

    def add(self, accepted: AcceptedId) -> None:
        """Add the id of an event that is accepted now."""
        number = next(reversed(self.buckets), -1)
        if number < 0 or len(self.buckets[number].ids) >= BUCKET_IDS:
            number += 1
            self.buckets[number] = Bucket([])
        self.buckets[number].append(accepted)
        self.touched.add(number)
        self._known[accepted.short_id] = accepted

    def forget(self, oldest_ms: int) -> None:
        """Drop the first buckets, up to one with an event of `oldest_ms` or later.

        The last bucket stays in any case, because its number says which one is next. An id that is out of reach may
        wait in a bucket for a newer one. It is free nevertheless: see `Sessions.step`.
        """
        for number in list(self._out_of_reach(oldest_ms)):
            for accepted in self.buckets.pop(number).ids:
                if self._known.get(accepted.short_id) is accepted:
                    del self._known[accepted.short_id]
            self.touched.add(number)

    def _out_of_reach(self, oldest_ms: int) -> Iterator[int]:
        last = next(reversed(self.buckets), -1)
        for number, bucket in self.buckets.items():
            if number == last or bucket.newest_ms >= oldest_ms:
                return
            yield number
