"""The compiled part. Its methods raise MemoryError, and from then on RuntimeError: no half step is gone on with."""

from meter.kafka.fetched import Fetched

def crc32c(data: bytes, /) -> int:
    """Kafka's checksum, by the processor's own instruction; not there where it has none."""

class Kernel:
    """The state of one partition of chat-events. Event times are from 0 to the end of the year 9999."""

    def __new__(
        cls,
        *,
        partition: int,
        gap_ms: int,
        horizon_ms: int,
        future_ms: int,
        secret: bytes,
    ) -> Kernel:
        """Durations are from 1 ms (`future_ms`: 0) to 278 years; `secret` is 32 random bytes. Raises ValueError."""
    @property
    def watermark_ms(self) -> int: ...
    @property
    def closed_messages(self) -> int: ...
    @property
    def live(self) -> int: ...
    @property
    def held_bytes(self) -> int:
        """Memory that it has taken, with what is free for use again."""
    @property
    def used_bytes(self) -> int:
        """What the interactions that it holds take, about, with all that hangs on them."""
    def begin(self, records: list[Fetched], /) -> None:
        """A batch of records."""
    def begin_sent(self, data: bytes, bytes_count: int, start: int, /) -> None:
        """A batch of the records from offset `start` on in `bytes_count` bytes that a broker sent (magic 2, plain)."""
    def take(self) -> int:
        """Take plain events of the batch. The index of the next record that is for others to judge, after which `take`
        goes on; at the end, how many there were. Raises ValueError where a batch breaks off: nothing may go on then."""
    def step(
        self,
        workspace_id: str,
        bot_id: str,
        channel: str,
        channel_user_id: str,
        source: str,
        event_id: str,
        at_ms: int,
        what: int,
        offset: int,
        produced_ms: int,
        /,
    ) -> int:
        """Take one event that others have read. 0: of a conversation, 1: an occurrence, 2: a duplicate, 3: a conflict,
        and 4, nothing having changed: too late. `what` is a place in EVENT_CLASSES."""
    def tick(self, at_ms: int, offset: int, produced_ms: int, /) -> None:
        """Event time has come to `at_ms`."""
    def close_all(self, offset: int, produced_ms: int, /) -> None:
        """Close what is open: the feed ends here."""
    def counts(self) -> tuple[tuple[int, int, int, int, int, int, int], tuple[int, int, int, int]]:
        """Of what the batch that ends here tells the wallets, how much is open, closed, absorbed, proactive, alert,
        agent and developer; how often `step` came to 0, 1, 2 and 3, with what was plain."""
    def pack(self, partitions: int, most_bytes: int, /) -> list[tuple[int, bytes, int]]:
        """What the batch that ends here tells the wallets, in as many partitions: of each the number, then records as a
        batch of Kafka's holds them, of `most_bytes` unless a single one is larger, and how many those are."""
    def changed(self, size_bytes: int, /) -> bytes:
        """A block, of that size or little more, of what changed or ended since last asked; empty once there is none."""
    def sweep(self, cursor: int, size_bytes: int, /) -> tuple[bytes, int]:
        """A block of the next entries from `cursor` on, 0 to begin; the next cursor, 0 at the end."""
    def load(self, offset: int, block: bytes, /) -> None: ...
    def finish(self, floor: int, watermark_ms: int, closed_messages: int, /) -> None: ...
    def spill(self, cursor: int, most: int, /) -> tuple[list[tuple[bytes, bytes]], int, int]:
        """Let go of interactions from `cursor` on, 1 to begin, that have not changed since `changed` was last asked:
        what a store has to hold from now on, by key; how many they are, `most` at most; the next cursor, 0 at the end.
        """
    def wanted(self) -> tuple[list[bytes], list[bytes], list[int], int]:
        """Of the batch that has begun, and of which nothing is taken: keys of interactions and ids that are not held;
        the indexes of records that are for others to judge; the time that event time may reach, these left aside.
        """
    def bring_back(self, values: list[bytes], /) -> list[bytes]:
        """Hold interactions again that a store has, or that `split` has found: of these the keys of ids, which the
        store may have for others. Bring those back too: the newer event is to have the id. Raises ValueError.
        """
    def forgotten(self) -> list[bytes]:
        """Keys of ids that the store does not need any more, since last asked."""
    def split(self, offset: int, block: bytes, /) -> list[tuple[bytes, bytes]]:
        """The entries of a block, for the store, under keys that put the highest offset first. Raises ValueError."""
