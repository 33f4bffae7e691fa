"""The core as an engine, in Python.

It is slower than the kernel. It runs where the kernel is not built, and it is what the kernel is tested against.
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence

import msgspec

from meter.core.decode import read
from meter.core.policy import Policy, PolicyInForce
from meter.core.rejection import Rejected
from meter.core.sessions.accepted_ids import AcceptedId
from meter.core.sessions.conversations import Interaction, InteractionKey
from meter.core.sessions.keys import is_bucket_key, pack_bucket_key, pack_key, unpack_bucket_key, unpack_key
from meter.core.sessions.outcomes import (
    Conflict,
    ConversationTouched,
    Duplicate,
    OccurrenceCounted,
    Outcome,
    PolicyRead,
    Ticked,
)
from meter.core.sessions.sessionize import Sessions
from meter.core.sessions.state_codec import pack_bucket, pack_interaction, unpack_bucket, unpack_interaction
from meter.core.sessions.updates import MeteredUpdates
from meter.kafka.fetched import Fetched
from meter.kafka.records import Record
from meter.sessionizer.engine import Processed
from meter.sessionizer.misplaced import Misplaced
from meter.stage.blocks import Loading, Sweep, pack
from meter.stage.dead_letter import dead_letter
from schemas.dead_letters import DeadLetter
from schemas.events import decode_event
from schemas.metered import ConversationMetered, OccurrenceMetered
from schemas.topics import CHAT_EVENTS

_encode_json = msgspec.json.Encoder().encode


class CoreEngine:
    """The engine of one partition whose state is in `Sessions`, all of it in memory."""

    spills = False
    is_full = False
    stored = 0
    generation = 0

    def __init__(self, policy: Policy, partition: int, partitions: int = 1) -> None:
        self._partition = partition
        self._misplaced = Misplaced(policy, partition, partitions)
        self._sessions = Sessions(policy)
        self._left: deque[Fetched] = deque()
        """The records of the present batch that are not processed yet."""
        self._loading = Loading()
        self._sweep = Sweep(self._parts, self._value_of)

    @property
    def watermark_ms(self) -> int:
        return self._sessions.watermark_ms

    @property
    def in_force(self) -> PolicyInForce:
        return self._sessions.in_force

    @property
    def oldest_ms(self) -> int:
        return self._sessions.oldest_ms

    @property
    def arrived_ms(self) -> int:
        return self._sessions.arrived_ms

    @property
    def closed_messages(self) -> int:
        return self._sessions.closed_messages

    @property
    def live(self) -> int:
        return len(self._sessions.interactions)

    @property
    def ids(self) -> int:
        return len(self._sessions.accepted)

    def process(self, records: Sequence[Fetched]) -> Processed:
        self._left = deque(records)
        return self.go_on()

    def go_on(self) -> Processed:
        updates = MeteredUpdates(self._partition, self._sessions.policy.gap_ms, self.generation)
        letters: list[DeadLetter] = []
        moved: list[Record] = []
        outcomes: Counter[str] = Counter()
        is_final, switched = False, None
        while self._left:
            record = self._left.popleft()
            outcome = self._step(record)
            outcomes[_NAMES[type(outcome)]] += 1
            match outcome:
                case ConversationTouched():
                    updates.touched(outcome, record.offset, record.timestamp)
                case OccurrenceCounted():
                    updates.occurred(outcome, record.offset, record.timestamp)
                case Rejected():
                    letters.append(dead_letter(CHAT_EVENTS, self._partition, record, outcome))
                case Record():
                    moved.append(outcome)
            # After each record and not once a batch: the offset at which a conversation closes must not depend on where
            # batches are cut. Otherwise a superseded worker could write the update under a higher offset, which no safe
            # point covers yet, and the wallet would not know it as a repeat.
            for key, conversation in self._sessions.advance():
                updates.closed(key, conversation, record.offset, record.timestamp)
            if isinstance(outcome, Ticked) and outcome.final:
                is_final = True
                for key, conversation in self._sessions.close_all():
                    updates.closed(key, conversation, record.offset, record.timestamp)
            if isinstance(outcome, PolicyRead) and outcome.changed:
                switched = self._sessions.in_force
                break
        metered = updates.drain()
        return Processed(
            outcomes,
            letters,
            moved,
            [Record(each.workspace_id.encode(), _encode_json(each)) for each in metered],
            Counter(_kind(each) for each in metered),
            is_final,
            switched,
        )

    def _step(self, record: Fetched) -> Outcome | Record:
        event = read(record.value, decode_event)
        if isinstance(event, Rejected):
            return event
        return self._misplaced.judge(event, record) or self._sessions.step(event, record.timestamp)

    def changed(self) -> Iterator[bytes]:
        sessions = self._sessions
        touched, sessions.touched = sessions.touched, set()
        buckets, sessions.accepted.touched = sessions.accepted.touched, set()
        keys = [*map(pack_key, touched), *map(pack_bucket_key, sorted(buckets))]
        return pack((key, self._value_of(key)) for key in keys)

    def sweep(self, size_bytes: int) -> tuple[bytes, bool]:
        return self._sweep.next(size_bytes)

    def _parts(self) -> list[Iterator[bytes]]:
        """All keys in one part."""
        return [self._keys()]

    def _keys(self) -> Iterator[bytes]:
        yield from map(pack_key, self._sessions.interactions)
        yield from map(pack_bucket_key, self._sessions.accepted.buckets)

    def _value_of(self, key: bytes) -> bytes | None:
        if is_bucket_key(key):
            bucket = self._sessions.accepted.buckets.get(unpack_bucket_key(key))
            return None if bucket is None else pack_bucket(bucket.ids)
        interaction = self._sessions.interactions.get(unpack_key(key))
        return None if interaction is None else pack_interaction(interaction)

    def load(self, offset: int, block: bytes) -> None:
        self._loading.load(offset, block)

    def adopt(self, in_force: PolicyInForce, oldest_ms: int) -> None:
        self._sessions.in_force, self._sessions.floor_ms = in_force, oldest_ms

    def finish(self, floor: int, watermark_ms: int, closed_messages: int) -> None:
        standing = self._loading.finish(floor)
        self._sessions.watermark_ms, self._sessions.closed_messages = watermark_ms, closed_messages
        buckets: dict[int, list[AcceptedId]] = {}
        interactions: dict[InteractionKey, Interaction] = {}
        for key, value in standing.items():
            if is_bucket_key(key):
                buckets[unpack_bucket_key(key)] = unpack_bucket(value)
            else:
                interactions[unpack_key(key)] = unpack_interaction(value)
        if not all(_fits(interaction, watermark_ms) for interaction in interactions.values()) or any(
            accepted.at_ms > watermark_ms for ids in buckets.values() for accepted in ids
        ):
            raise ValueError("an entry does not fit the time that its checkpoint had reached")
        self._sessions.restore(interactions, buckets)


def _fits(interaction: Interaction, watermark_ms: int) -> bool:
    """Whether an entry can be of this watermark: it is due later, and none of its messages is newer."""
    return interaction.due_ms > watermark_ms >= max(each.last_ms for each in interaction.conversations)


def _kind(metered: ConversationMetered | OccurrenceMetered) -> str:
    return metered.kind if isinstance(metered, OccurrenceMetered) else metered.state


_NAMES: dict[type[Outcome | Record], str] = {
    ConversationTouched: "conversation",
    OccurrenceCounted: "occurrence",
    Ticked: "tick",
    PolicyRead: "policy",
    Duplicate: "duplicate",
    Conflict: "conflict",
    Rejected: "dead_letter",
    Record: "moved",
}
