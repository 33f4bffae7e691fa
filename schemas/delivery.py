"""Rules by which a reader of the transport `batch://` recognises dropped batches, for both programs.

The transport guarantees two things (docs/adr/0004). A batch states its base, the offset at which its fetch began, and
holds every record from its base to its last offset; offsets without a record are transaction markers or were aborted
(docs/adr/0018). The consumer states its position, the offset that it fetches next.
The transport does not guarantee that every batch arrives: while partitions move, Faust drops batches that it has
fetched. A reader that finds a hole seeks back to the offset that it expects. It skips the batches after the hole until
the hole is filled.
"""

from typing import Final, Protocol

from schemas.headers import Headers

QUIET_S: Final = 5.0
"""After how long without a batch of a partition the reader checks it for a dropped batch."""

TURN_S: Final = 15.0
"""How much longer a batch may be missing while the reader processes batches of other partitions."""

METADATA_MS: Final = 5_000
"""How old the client's metadata may be: the names of the topics and their partitions.

The client repeats a failed request for metadata only after this time. A group leader without metadata assigns no
partitions. With the client's default of five minutes, a restart of a broker could stop a group for five minutes.
"""


READ_COMMITTED: Final = "read_committed"
"""The isolation level of every consumer: records of a transaction count once it is committed, and never if aborted."""


class Fetched(Protocol):
    """A fetched Kafka record. Its topic and partition are in its batch, because a record is made millions of times."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int:
        """The time that the broker or the producer set, in milliseconds since 1970."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


def is_hole(base: int, expected: int) -> bool:
    """Whether records are missing between the last record that was read and `base`.

    `expected` is the offset after the last record that was read. `base` is the base of the next batch, or, if no batch
    comes, the consumer's position. A position beyond `expected` means that a batch was fetched and dropped. A batch
    that begins before `expected` repeats records, and none is missing.
    """
    return base > expected


def is_quiet(quiet_s: float) -> bool:
    """Whether a partition has had no batch for so long that the reader checks the consumer's position.

    `quiet_s` is the time in seconds since the partition's last batch, or since its last check.
    """
    return quiet_s > QUIET_S


def may_be_dropped(quiet_s: float, idle_s: float) -> bool:
    """Whether the next batch of a quiet partition may have been dropped, instead of waiting behind other batches.

    For a reader that processes the batches of all its partitions one after another. `quiet_s` is the time in seconds
    since the last batch of this partition, `idle_s` since the last batch of any partition.
    """
    return is_quiet(min(quiet_s, max(idle_s, quiet_s - TURN_S)))
