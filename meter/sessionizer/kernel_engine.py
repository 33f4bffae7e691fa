"""The kernel as an engine.

The kernel processes plain events by itself and hands back every other record, which is decoded or rejected here.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from meter.core.decode import read
from meter.core.policy import Policy, PolicyInForce
from meter.core.rejection import Rejected
from meter.core.sessions import accepted_ids
from meter.core.sessions.event_kinds import EVENT_CLASSES, class_of
from meter.core.sessions.timeliness import late, untimely
from meter.kafka.fetched import Fetched, RawRecords
from meter.kafka.records import BATCH_BYTES, Packed, Record
from meter.kernel._kernel import Kernel
from meter.sessionizer.engine import Processed
from meter.sessionizer.misplaced import Misplaced
from meter.stage.blocks import BLOCK_BYTES
from meter.stage.dead_letter import dead_letter
from schemas.dead_letters import DeadLetter
from schemas.events import AnyChatEvent, ClockTick, decode_event
from schemas.instants import to_ms
from schemas.policy import PolicyRecord
from schemas.topics import CHAT_EVENTS

_OUTCOMES: Final = ("conversation", "occurrence", "duplicate", "conflict")
_KINDS: Final = ("open", "closed", "absorbed", "proactive", "alert", "agent", "developer")
_LATE: Final = len(_OUTCOMES)
"""What the kernel's `step` returns for a late event; below it, an index into _OUTCOMES."""
_NEVER_MS: Final = -(2**62)
_CLASS_CODES: Final = {name: code for code, name in enumerate(EVENT_CLASSES)}


class KernelEngine:
    """The engine of one partition whose state is in the kernel, all of it in memory."""

    spills = False

    def __init__(self, policy: Policy, partition: int, partitions: int = 1) -> None:
        self._in_force = PolicyInForce(policy=policy)
        self._floor_ms = _NEVER_MS
        """Events before this time stay late, although the late horizon has become longer since."""
        self._partition = partition
        self._misplaced = Misplaced(policy, partition, partitions)
        self._cursor = 0
        self._records: Sequence[Fetched] = ()
        """The present batch. Read again only while it may go on."""
        self._kernel = Kernel(
            partition=partition,
            partitions=partitions,
            gap_ms=policy.gap_ms,
            horizon_ms=policy.horizon_ms,
            future_ms=policy.future_ms,
            bucket_ids=accepted_ids.BUCKET_IDS,
            secret=os.urandom(32),
        )

    @property
    def generation(self) -> int:
        return self._kernel.generation

    @generation.setter
    def generation(self, generation: int) -> None:
        self._kernel.generation = generation

    @property
    def is_full(self) -> bool:
        return False

    @property
    def stored(self) -> int:
        return 0

    @property
    def in_force(self) -> PolicyInForce:
        return self._in_force

    @property
    def oldest_ms(self) -> int:
        return max(self._floor_ms, self.watermark_ms - self._in_force.policy.horizon_ms)

    @property
    def watermark_ms(self) -> int:
        return self._kernel.watermark_ms

    @property
    def arrived_ms(self) -> int:
        return self._kernel.arrived_ms

    @property
    def closed_messages(self) -> int:
        return self._kernel.closed_messages

    @property
    def live(self) -> int:
        return self._kernel.live

    @property
    def ids(self) -> int:
        return self._kernel.ids

    @property
    def held_bytes(self) -> int:
        """Bytes that the kernel has allocated, those that are free for reuse included."""
        return self._kernel.held_bytes

    def process(self, records: Sequence[Fetched]) -> Processed:
        self._begin(records)
        return self.go_on()

    def _begin(self, records: Sequence[Fetched]) -> None:
        self._records = records
        if isinstance(records, RawRecords):
            self._kernel.begin_raw(records.data, records.bytes_count, records.first_offset)
        else:
            self._kernel.begin(list(records))

    def go_on(self) -> Processed:
        records = self._records
        letters: list[DeadLetter] = []
        moved: list[Record] = []
        outcomes: Counter[str] = Counter()
        is_final, switched = False, None
        while (at := self._kernel.process()) < len(records):
            record = records[at]
            event = read(record.value, decode_event)
            if isinstance(event, PolicyRecord) and self._in_force.refusal_of(event) is None:
                outcomes["policy"] += 1
                if self._switches(event):
                    switched = self._in_force
                    break
                continue
            found = event if isinstance(event, Rejected) else self._step(event, record)
            if isinstance(found, Rejected):
                outcomes["dead_letter"] += 1
                letters.append(dead_letter(CHAT_EVENTS, self._partition, record, found))
            elif found is not None:
                outcomes["moved"] += 1
                moved.append(found)
            elif isinstance(event, ClockTick):
                outcomes["tick"] += 1
                is_final = is_final or event.final
        kind_counts, outcome_counts = self._kernel.counts()
        outcomes.update({name: count for name, count in zip(_OUTCOMES, outcome_counts, strict=True) if count})
        kinds = Counter({name: count for name, count in zip(_KINDS, kind_counts, strict=True) if count})
        return Processed(outcomes, letters, moved, self._pack, kinds, is_final, switched)

    def _switches(self, record: PolicyRecord) -> bool:
        """Put a newer policy in force. Returns whether it was newer."""
        before, floor_ms = self._in_force, self.oldest_ms
        self._in_force = before.after(record)
        if self._in_force is before:
            return False
        self._floor_ms = floor_ms
        self._kernel.set_horizon(self._in_force.policy.horizon_ms, floor_ms)
        return True

    def _pack(self, partitions: int) -> list[Packed]:
        return [Packed(*each) for each in self._kernel.pack(partitions, BATCH_BYTES)]

    def _step(self, event: AnyChatEvent, record: Fetched) -> Record | Rejected | None:
        """Process an event that the kernel has handed back. Returns why it is rejected, or the record that it is moved
        as; None if it was processed. A policy comes here only if it is refused.
        """
        if isinstance(event, PolicyRecord):
            return self._in_force.refusal_of(event)
        misplaced = self._misplaced.judge(event, record)
        if misplaced is not None:
            return misplaced
        kernel = self._kernel
        at_ms = to_ms(event.time)
        refused = untimely(event, at_ms, record.timestamp, self._in_force.policy)
        if refused is not None:
            return refused
        if isinstance(event, ClockTick):
            kernel.tick(at_ms, record.offset, record.timestamp)
            if event.final:
                kernel.close_all(record.offset, record.timestamp)
            return None
        data = event.data
        names = data.workspace_id, data.bot_id, data.channel, data.channel_user_id, event.source, event.id
        event_class = _CLASS_CODES[class_of(event)]
        if kernel.step(*names, at_ms, event_class, record.offset, record.timestamp) == _LATE:
            return late(at_ms, kernel.watermark_ms, self._floor_ms, self._in_force.policy)
        return None

    def changed(self) -> Iterator[bytes]:
        return iter(partial(self._kernel.changed, BLOCK_BYTES), b"")

    def sweep(self, size_bytes: int) -> tuple[bytes, bool]:
        block, self._cursor = self._kernel.sweep(self._cursor, size_bytes)
        return block, self._cursor == 0

    def load(self, offset: int, block: bytes) -> None:
        self._kernel.load(offset, block)

    def adopt(self, in_force: PolicyInForce, oldest_ms: int) -> None:
        self._in_force, self._floor_ms = in_force, oldest_ms

    def finish(self, floor: int, watermark_ms: int, closed_messages: int) -> None:
        self._kernel.finish(floor, watermark_ms, closed_messages)
        self._kernel.set_horizon(self._in_force.policy.horizon_ms, self._floor_ms)
