"""What a reader may conclude of the batches that the transport `batch://` delivers, in either program.

The transport promises two things (docs/adr/0004). A batch says the offset at which its fetch began, its base, and holds
every record from there to its last. And the consumer tells the offset that it fetches next, its position. It does not
promise that every batch arrives: Faust drops batches that it has fetched while partitions move. A reader that finds a
hole seeks back to the offset that it expects, and leaves aside what lies beyond until the hole is filled.
"""

from collections.abc import Sequence
from typing import Final, Protocol

QUIET_S: Final = 5.0
"""How long nothing may come of a partition before the reader asks about it."""

TURN_S: Final = 15.0
"""How much longer it may be while the reader processes batches of other partitions."""


METADATA_MS: Final = 5_000
"""How long a worker may not know the topics, in either program.

The client does not repeat a failed question for metadata before this time is over, and a leader of the group that knows
no topics gives no worker a partition. With the client's own five minutes a broker's restart could idle a group for that
long.
"""


class Fetched(Protocol):
    """A Kafka record as it was fetched. Its batch says of which topic and partition: it is made millions of times."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int:
        """When the broker or the producer had it, in milliseconds since 1970."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


def is_hole(base: int, expected: int) -> bool:
    """Whether records are missing between what was read and what follows.

    `expected` is the offset after the last record that was read. `base` is the offset at which a batch begins, or the
    consumer's position when no batch comes: a position beyond `expected` means that a batch was fetched and dropped. A
    batch that begins before `expected` repeats records and leaves out none.
    """
    return base > expected


def is_quiet(quiet_s: float) -> bool:
    """Whether a partition has been without a batch for so long that the reader asks: the consumer for its position, the
    group for its offset. `quiet_s` is the time in seconds since the last batch, or since the reader last asked.
    """
    return quiet_s > QUIET_S


def may_be_dropped(quiet_s: float, idle_s: float) -> bool:
    """Whether a quiet partition's last batch may have been dropped, and is not just waiting behind other partitions'.

    For a reader that processes the batches of all its partitions in turn. `quiet_s` is the time in seconds since the
    partition's last batch, `idle_s` since the last one of any partition.
    """
    return is_quiet(min(quiet_s, max(idle_s, quiet_s - TURN_S)))
