"""The kernel for a state larger than memory: interactions to which nothing happens lie in a store on disk.

Before a batch is taken, whatever it may concern comes back to memory: the interactions of its events, those that have
accepted one of its ids, and those that become due by its time. So the kernel decides as if it had never let go of any.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Final

from meter.core.decode import read
from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.core.sessions import sessionize
from meter.core.sessions.state_codec import pack_key
from meter.kafka.fetched import Fetched
from meter.sessionizer.engine import Processed
from meter.sessionizer.kernel_engine import KernelEngine
from meter.sessionizer.spill.store import DUE, INTERACTION, NEVER_MS, SEEN, Store, due_key, due_ms_of
from schemas.events import ClockTick, decode_event
from schemas.ids import event_key
from schemas.instants import to_ms

GROUP: Final = 1024
"""How many interactions leave memory at a time."""
_KEPT: Final = 0.75
"""What stays in memory when it is full, so that not every batch has to make room."""
_NUMBERS: Final = count(1)


class SpillingEngine(KernelEngine):
    """One partition, of which about `above_bytes` are in memory, and what the present batch needs."""

    spills = True

    def __init__(self, policy: Policy, partition: int, directory: Path, above_bytes: int) -> None:
        super().__init__(policy, partition)
        self.store = Store(directory / f"{partition}-{next(_NUMBERS)}")
        self.above_bytes = above_bytes
        self._stored = 0
        self._next_due_ms = NEVER_MS
        """Nothing in the store is due before."""
        self._spill_cursor = 1
        self._is_saved = True
        """Whether there may be anything in memory that no checkpoint waits for."""
        self._stored_cursor: bytes | None = None
        """Where a sweep is that has been through memory."""

    @property
    def is_full(self) -> bool:
        return not self._is_saved and self.used_bytes > self.above_bytes

    @property
    def used_bytes(self) -> int:
        """What is in memory takes this, about."""
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
        if self._stored:
            self._bring_back(records)
        processed = self._process(records)
        self.store.remove(self._kernel.forgotten())
        return processed

    def _make_room(self) -> None:
        """Let go of what is not in use. What a checkpoint waits for stays."""
        if not self._is_saved or self.used_bytes <= self.above_bytes:
            return
        ends = 0
        while self.used_bytes > self.above_bytes * _KEPT and ends < 2:
            pairs, spilled, cursor = self._kernel.spill(self._spill_cursor, GROUP)
            self.store.write(pairs)
            self._stored += spilled
            due = min((due_ms_of(key) for key, _ in pairs if key[:1] == DUE), default=NEVER_MS)
            self._next_due_ms = min(self._next_due_ms, due)
            self._spill_cursor = cursor or 1
            ends += cursor == 0
        self._is_saved = ends < 2

    def _bring_back(self, records: Sequence[Fetched]) -> None:
        keys, ids, others, until_ms = self._kernel.wanted()
        wanted = set(keys)
        is_final = False
        for index in others:
            record = records[index]
            event = read(record.value, decode_event)
            if isinstance(event, Rejected):
                continue
            at_ms = to_ms(event.time)
            if sessionize.untimely(event, at_ms, record.timestamp, self._policy) is not None:
                continue
            until_ms = max(until_ms, at_ms)
            if isinstance(event, ClockTick):
                is_final = is_final or event.final
                continue
            data = event.data
            wanted.add(_stored_key((data.workspace_id, data.bot_id, data.channel, data.channel_user_id)))
            ids.append(SEEN + event_key(data.workspace_id, event.source, event.id))
        wanted.update(self._holders(ids))
        if until_ms >= self._next_due_ms:
            due, self._next_due_ms = self.store.due(self._next_due_ms, until_ms)
            wanted.update(due)
        if is_final:
            wanted.update(self.store.still_open())
        self._bring(wanted)

    def _holders(self, ids: list[bytes]) -> set[bytes]:
        """Keys of the interactions for which the store has one of these ids."""
        return {INTERACTION + digest for digest in self.store.get(sorted(ids)) if digest is not None}

    def _bring(self, interactions: set[bytes]) -> None:
        wanted = sorted(interactions)
        found = [(key, value) for key, value in zip(wanted, self.store.get(wanted), strict=True) if value is not None]
        self._kernel.bring_back([value for _, value in found])
        self.store.remove(each for key, value in found for each in (key, due_key(key, value)))
        self._stored -= len(found)

    def changed(self) -> Iterator[bytes]:
        yield from super().changed()
        self._is_saved = True

    def sweep(self, size_bytes: int) -> tuple[bytes, bool]:
        """First what is in memory, then what is stored: whoever goes down meanwhile is met below, and whoever comes up
        is written with the next checkpoint.
        """
        if self._stored_cursor is None:
            block, is_over = super().sweep(size_bytes)
            self._stored_cursor = b"" if is_over else None
            return block, False
        block, self._stored_cursor = self.store.entries(self._stored_cursor, size_bytes)
        return block, self._stored_cursor is None

    def load(self, offset: int, block: bytes) -> None:
        self.store.write(self._kernel.split(offset, block))

    def finish(self, floor: int, watermark_ms: int, closed_messages: int) -> None:
        super().finish(floor, watermark_ms, closed_messages)
        for group in self.store.loaded(floor):
            self._bring(self._holders(self._kernel.bring_back(group)))
            self.store.remove(self._kernel.forgotten())
            self._make_room()
        self.store.drop_loaded()


def _stored_key(key: tuple[str, str, str, str]) -> bytes:
    return INTERACTION + blake2b(pack_key(key), digest_size=16).digest()
