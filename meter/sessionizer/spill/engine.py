"""The kernel for a state larger than memory: interactions that nothing happens to are moved to a store on disk.

Before a batch is processed, every interaction that it may concern is moved back to memory: those of its events, those
that become due by its time, and at the end of a feed all that are open. Buckets of ids leave memory for good; if the
store has an id that the batch asks for, the kernel gets a copy for this batch. So the kernel decides as if the whole
state were in memory, and no rule is written twice.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Final

from meter.core.decode import read
from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.core.sessions.accepted_ids import SHORT_ID_BYTES
from meter.core.sessions.keys import pack_key
from meter.core.sessions.timeliness import untimely
from meter.kafka.fetched import Fetched
from meter.sessionizer.engine import Processed
from meter.sessionizer.kernel_engine import KernelEngine
from meter.sessionizer.spill.store import DUE, INTERACTION, NEVER_MS, SEEN, Store, due_key, due_ms_of
from schemas.events import ClockTick, decode_event
from schemas.ids import event_key
from schemas.instants import to_ms
from schemas.policy import PolicyRecord

GROUP: Final = 1024
"""How many interactions are moved to the store at a time."""
BUCKETS: Final = 4
"""How many buckets of ids are moved to the store at a time."""
_KEPT: Final = 0.75
"""The share of `above_bytes` that stays in memory when room is made, so that not every batch has to make room."""
_NUMBERS: Final = count(1)


class SpillingEngine(KernelEngine):
    """The engine of one partition with about `above_bytes` in memory, plus what the current batch needs.

    `directory` is the worker's own, below METER_SPILL_DIR. Needs the kernel and RocksDB.
    """

    spills = True

    def __init__(
        self, policy: Policy, partition: int, partitions: int = 1, *, directory: Path, above_bytes: int
    ) -> None:
        super().__init__(policy, partition, partitions)
        self.store = Store(directory / f"{partition}-{next(_NUMBERS)}")
        self.above_bytes = above_bytes
        self._stored = 0
        self._has_stored_ids = False
        self._next_due_ms = NEVER_MS
        """No interaction in the store is due before this time."""
        self._spill_cursor = 1
        self._may_spill = True
        """False once nothing in memory may leave it: all has changed since the last checkpoint, or came back since."""
        self._stored_cursor: bytes | None = None
        """Where a sweep is in the store; None while it is in memory."""

    @property
    def is_full(self) -> bool:
        return not self._may_spill and self.used_bytes > self.above_bytes

    @property
    def used_bytes(self) -> int:
        """About how many bytes the interactions in memory take."""
        return self._kernel.used_bytes

    @property
    def live(self) -> int:
        return super().live + self._stored

    @property
    def stored(self) -> int:
        return self._stored

    def process(self, records: Sequence[Fetched]) -> Processed:
        self._make_room()
        self._begin(records)
        if self._stored or self._has_stored_ids:
            self._bring_back_for(records)
        return self.go_on()

    def go_on(self) -> Processed:
        processed = super().go_on()
        self._forget_buckets()
        return processed

    def _forget_buckets(self) -> None:
        for number in self._kernel.forgotten():
            self.store.forget_bucket(number)

    def _make_room(self) -> None:
        """Move ids and interactions to the store if memory is over its bound, but none that changed since the last
        checkpoint.

        Ids go first: few of them are asked for again. Ends at the latest when the cursor has reached the end twice:
        then every interaction has been looked at.
        """
        if not self._may_spill or self.used_bytes <= self.above_bytes:
            return
        while self.used_bytes > self.above_bytes * _KEPT and (pairs := self._kernel.spill_ids(BUCKETS)):
            self.store.write(pairs)
            self._has_stored_ids = True
        passes = 0
        while self.used_bytes > self.above_bytes * _KEPT and passes < 2:
            pairs, spilled, cursor = self._kernel.spill(self._spill_cursor, GROUP)
            self.store.write(pairs)
            self._stored += spilled
            due = min((due_ms_of(key) for key, _ in pairs if key[:1] == DUE), default=NEVER_MS)
            self._next_due_ms = min(self._next_due_ms, due)
            self._spill_cursor = cursor or 1
            passes += cursor == 0
        self._may_spill = passes < 2

    def _bring_back_for(self, records: Sequence[Fetched]) -> None:
        """Move back all that the batch may concern. Called after `_begin`; decodes records that are not plain."""
        keys, ids, others, until_ms = self._kernel.wanted()
        wanted = set(keys)
        is_final = False
        for index in others:
            record = records[index]
            event = read(record.value, decode_event)
            if isinstance(event, Rejected | PolicyRecord):
                continue
            at_ms = to_ms(event.time)
            if untimely(event, at_ms, record.timestamp, self._in_force.policy) is not None:
                continue
            until_ms = max(until_ms, at_ms)
            if isinstance(event, ClockTick):
                is_final = is_final or event.final
                continue
            data = event.data
            wanted.add(_stored_key((data.workspace_id, data.bot_id, data.channel, data.channel_user_id)))
            ids.append(SEEN + event_key(data.workspace_id, event.source, event.id)[:SHORT_ID_BYTES])
        self._lend(ids)
        if until_ms >= self._next_due_ms:
            due, self._next_due_ms = self.store.due(self._next_due_ms, until_ms)
            wanted.update(due)
        if is_final:
            wanted.update(self.store.still_open())
        self._bring_back(wanted)

    def _lend(self, ids: list[bytes]) -> None:
        """Give the kernel what the store has of these ids, for the batch that has begun."""
        keys = sorted(ids)
        found = [(key, value) for key, value in zip(keys, self.store.get(keys), strict=True) if value is not None]
        self._kernel.lend(found)

    def _bring_back(self, interactions: set[bytes]) -> None:
        """Move the interactions of these keys back to memory, those that the store has."""
        wanted = sorted(interactions)
        found = [(key, value) for key, value in zip(wanted, self.store.get(wanted), strict=True) if value is not None]
        self._kernel.bring_back([value for _, value in found])
        self.store.remove(each for key, value in found for each in (key, due_key(key, value)))
        self._stored -= len(found)

    def changed(self) -> Iterator[bytes]:
        yield from super().changed()
        self._may_spill = True

    def sweep(self, size_bytes: int) -> tuple[bytes, bool]:
        """Go through memory first, then through the store.

        An interaction that is moved to the store during the first part is found in the second. One that is moved back
        during the second counts as changed, so the next checkpoint writes it.
        """
        if self._stored_cursor is None:
            block, is_over = super().sweep(size_bytes)
            self._stored_cursor = b"" if is_over else None
            return block, False
        block, self._stored_cursor = self.store.entries(self._stored_cursor, size_bytes)
        return block, self._stored_cursor is None

    def load(self, offset: int, block: bytes) -> None:
        """Put the entries into the store, all versions of each. `finish` picks the newest, so memory stays bounded."""
        # From 0 on: a repartition writes state as of offset -1 where nothing was read yet.
        self.store.write(self._kernel.split(offset + 1, block))

    def finish(self, floor: int, watermark_ms: int, closed_messages: int) -> None:
        super().finish(floor, watermark_ms, closed_messages)
        for group in self.store.loaded(floor + 1):
            self._kernel.bring_back(group)
            self._make_room()
        self.store.drop_loaded()


def _stored_key(key: tuple[str, str, str, str]) -> bytes:
    return INTERACTION + blake2b(pack_key(key), digest_size=16).digest()
