"""The compiled module.

A method that runs out of memory raises MemoryError. A method that fails in the middle of a step, for that or for
damaged input, leaves the kernel unusable: every later call raises RuntimeError, and the state has to be restored from
its checkpoint into a new kernel. No method may be called from two threads at once.
"""

from meter.kafka.fetched import Fetched

def crc32c(data: bytes, /) -> int:
    """Return Kafka's checksum of the bytes. The function exists only where the processor has an instruction for it."""

class Kernel:
    """The state of one partition of chat-events. Times are event time in milliseconds, from 1970 to the end of 9999.

    Life of a batch: `begin` or `begin_raw`; then `process` until it returns the number of records, with `step`, `tick`
    or `close_all` for each record that it hands back; then `counts` and `pack`, once each.

    Life of a state: `load` for every block of a checkpoint and `finish` once, before the first batch; `changed` at each
    checkpoint; `sweep` over several checkpoints. `spill`, `spill_ids`, `wanted`, `bring_back`, `lend`, `forgotten` and
    `split` serve a store on disk for a state that is larger than memory.
    """

    def __new__(
        cls,
        *,
        partition: int,
        gap_ms: int,
        horizon_ms: int,
        future_ms: int,
        bucket_ids: int,
        secret: bytes,
        partitions: int = 1,
    ) -> Kernel:
        """Make an empty state. Raises ValueError for a value out of bounds.

        `partitions` is how many partitions chat-events has. A record of a workspace that belongs to another one is
        handed back.

        `gap_ms` and `horizon_ms` are from 1 ms to 278 years, `future_ms` from 0. A bucket of ids is closed with
        `bucket_ids` of them, 1 to 256; it must be the same wherever a state is restored. `secret` is 32 random bytes
        that stop an unknown producer from choosing keys and ids that collide in a hash table; it changes no result.
        """
    generation: int
    """The generation of chat-events, from 0 to 32767: the origins of updates have it above 48 bits of offset."""
    @property
    def watermark_ms(self) -> int:
        """The newest event time seen. It never goes back."""
    @property
    def arrived_ms(self) -> int:
        """The Kafka timestamp of the record that moved the watermark last; 0 if none has yet."""
    @property
    def closed_messages(self) -> int:
        """Messages of all conversations that are closed, forgotten ones too."""
    @property
    def live(self) -> int:
        """Interactions that are in memory and have not ended."""
    @property
    def ids(self) -> int:
        """Ids of accepted events in memory. At 1,073,741,312 the partition is full, and OverflowError is raised."""
    @property
    def held_bytes(self) -> int:
        """Memory taken from the system, with what is free for use again."""
    @property
    def used_bytes(self) -> int:
        """Memory that the interactions in use take, estimated, with their share of tables and texts."""
    def begin(self, records: list[Fetched], /) -> None:
        """Begin a batch that is a list of records, which the kernel keeps until the batch ends. Nothing is read yet."""
    def begin_raw(self, data: bytes, bytes_count: int, start: int, /) -> None:
        """Begin a batch that is the first `bytes_count` bytes of what a broker sent, from offset `start` on.

        The bytes are whole Kafka batches of magic 2, not compressed, whose checksums were checked. Nothing is read yet.
        Raises ValueError if `data` is shorter.
        """
    def process(self) -> int:
        """Process plain events of the batch, up to the next record that Python has to judge, and return that record's
        index.

        At the end of the batch it returns the number of records. A record that is handed back has changed nothing; the
        next call goes on behind it. Raises RuntimeError if no batch has begun, and ValueError if the batch is damaged:
        the kernel is unusable then.
        """
    def step(
        self,
        workspace_id: str,
        bot_id: str,
        channel: str,
        channel_user_id: str,
        source: str,
        event_id: str,
        at_ms: int,
        event_class: int,
        offset: int,
        produced_ms: int,
        /,
    ) -> int:
        """Process one event that Python has read, and return what became of it.

        0: a message of a conversation, 1: an occurrence, 2: a duplicate, 3: a conflict. 4: too late, and 5: of a
        workspace that belongs to another partition; nothing has changed then. `event_class` is an index into the 24
        words of `meter/core/sessions/event_kinds.py`. Raises ValueError for a name of no character or more than 512,
        and for a time or a class out of bounds.
        """
    def tick(self, at_ms: int, offset: int, produced_ms: int, /) -> None:
        """Move event time to `at_ms`, unless it is later already; close and forget what is due by then."""
    def set_horizon(self, horizon_ms: int, floor_ms: int, /) -> None:
        """Change the late horizon, between two records. Events before `floor_ms` stay late.

        Call it after `finish` too, where the checkpoint's horizon is not the one that the kernel was made with. Raises
        ValueError for a horizon out of bounds, and for a floor after the watermark.
        """
    def close_all(self, offset: int, produced_ms: int, /) -> None:
        """Close every open conversation: a finite feed ends at this record. A later message may open one again."""
    def counts(self) -> tuple[tuple[int, int, int, int, int, int, int], tuple[int, int, int, int]]:
        """Return two counts of the batch that ends here, and reset the second. Call it once, before `pack`.

        The first counts what the wallets are told: open, closed, absorbed, proactive, alert, agent, developer. The
        second counts processed events by what `step` returns, 0 to 3, plain ones included.
        """
    def pack(self, partitions: int, most_bytes: int, /) -> list[tuple[int, bytes, int]]:
        """Return what the batch tells the wallets, and forget it: (partition, records as a Kafka batch holds them,
        count).

        Records of one partition are in the order of offsets. Each item has at most `most_bytes`, unless a single record
        is larger. `partitions` is the number of partitions of the wallets' topic.
        """
    def changed(self, size_bytes: int, /) -> bytes:
        """Return a block of entries that changed or ended since they were last returned; empty once there are none.

        Call it at a checkpoint until it returns an empty block, with no batch in between. The block has `size_bytes`,
        or more by part of one entry.
        """
    def sweep(self, cursor: int, size_bytes: int, /) -> tuple[bytes, int]:
        """Return a block of the next live entries, and the next cursor. A sweep begins at cursor 0 and has ended at 0.

        Every entry that is live for the whole sweep is in one of its blocks; one added during it may not be. Batches
        may be processed between two calls. Raises ValueError for a cursor below 0.
        """
    def load(self, offset: int, block: bytes, /) -> None:
        """Load the entries of a block that was written as of input offset `offset`. Of a key the highest offset counts.

        Call it before the first batch, for the blocks of a checkpoint in any order, then call `finish`. Raises
        ValueError for a damaged block, and RuntimeError if the kernel has processed events.
        """
    def finish(self, floor: int, watermark_ms: int, closed_messages: int, /) -> None:
        """End the loading: entries of offset `floor` or below do not count, and the numbers are those of the
        checkpoint's mark.

        Raises ValueError if an entry does not fit the watermark, and RuntimeError if the kernel has processed events.
        """
    def spill(self, cursor: int, most: int, /) -> tuple[list[tuple[bytes, bytes]], int, int]:
        """Remove up to `most` interactions from memory, and return what the store has to hold, how many, and the next
        cursor.

        Removes only what has not changed since `changed` last returned it. The first cursor is 1; the next one is 0
        once all interactions were looked at. Do not call it while a batch is processed. Write all pairs to the store
        before the next batch, or they are lost.
        """
    def wanted(self) -> tuple[list[bytes], list[bytes], list[int], int]:
        """Return what the batch that has begun needs of the store. Call it before the batch's first `process`.

        Keys of interactions and keys of ids that are not in memory; indexes of the records that Python has to judge;
        and the latest time that the watermark may reach by the plain events. Changes nothing.
        """
    def bring_back(self, values: list[bytes], /) -> None:
        """Put interactions back into memory, by the values that the store holds, or that `split` returned.

        Of `split` it takes buckets of ids too, in the order of their numbers. Raises ValueError for a damaged value, or
        for an interaction that is in memory already.
        """
    def spill_ids(self, most: int, /) -> list[tuple[bytes, bytes]]:
        """Remove up to `most` buckets of ids from memory, the oldest first, and return what the store has to hold.

        Returns nothing once only the last bucket is left, and those that have changed since `changed` last returned
        them. Write all pairs to the store before the next batch, or they are lost.
        """
    def lend(self, ids: list[tuple[bytes, bytes]], /) -> None:
        """Take what the store has of ids that the batch needs, as (key, value), until the next batch begins.

        Raises ValueError for a damaged value.
        """
    def forgotten(self) -> list[int]:
        """Return the numbers of buckets that the store does not need any more, since the last call."""
    def split(self, offset: int, block: bytes, /) -> list[tuple[bytes, bytes]]:
        """Return the entries of a checkpoint's block as pairs for the store. Does not use or change the state.

        A key puts the highest offset of an entry first, and buckets of ids before interactions. Raises ValueError for a
        damaged block, or an offset below 0.
        """
