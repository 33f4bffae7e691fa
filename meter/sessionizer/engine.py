"""The protocol of an engine: it holds the state of one partition of chat-events, and applies the rules to its records.

There are three engines: the core in Python, the kernel in C, and the kernel with a store on disk. All have the same
results and the same format of state entries, so each restores the entries that another has written.

The sessionizer owns one engine a partition and calls its methods in this order, never two at a time: `load` for each
block, `adopt` at most once, `finish` once; then `process` for each batch, with `go_on` until no part of it is left, and
`changed` and `sweep` for each checkpoint. `changed`, `sweep` and `load` are the same as those of `State`
(`meter/stage/fold.py`): a stage calls them through the sessionizer. After an exception from any method the engine must
be dropped; the state is restored from the last checkpoint.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from meter.core.policy import Policy, PolicyInForce
from meter.kafka.fetched import Fetched
from meter.kafka.records import Record, Records
from schemas.dead_letters import DeadLetter


class Processed(NamedTuple):
    """The result of a batch, or of its part up to a record that puts another policy in force."""

    outcomes: Counter[str]
    """The number of records with each outcome.

    One of conversation, occurrence, duplicate, conflict, dead_letter, tick, moved.
    """
    letters: list[DeadLetter]
    """The rejected records, in the order of their offsets."""
    moved: list[Record]
    """The misplaced records as they are written to their workspace's partition, in the order of their offsets."""
    metered: Records
    """The metered updates, in the order of the offsets that caused them.

    If this is a function, it can be called once, and only before the next `process`, because it reads the engine's
    memory.
    """
    kinds: Counter[str]
    """The number of metered updates of each kind: open, closed, absorbed, proactive, alert, agent, developer."""
    is_final: bool
    """Whether a final tick was among the records. The feed ends there, and every open conversation was closed."""
    switched: PolicyInForce | None = None
    """The policy that the last record of this part has put in force. The batch may go on: call `go_on` for the rest.

    None at the end of the batch.
    """


class Engine(Protocol):
    """The state of one partition of chat-events, and the rules for its records."""

    generation: int
    """The generation of chat-events, part of each update's origin. Set before the first `process`; 0 until then."""

    spills: bool
    """Whether part of the state may be on disk."""

    @property
    def is_full(self) -> bool:
        """Whether memory is full of interactions that must stay there until a checkpoint. Read after each batch."""

    @property
    def watermark_ms(self) -> int:
        """The newest event time in the partition so far, in milliseconds since 1970; 0 before the first record."""

    @property
    def arrived_ms(self) -> int:
        """The Kafka timestamp of the record that moved the watermark last; 0 if none has since `finish`."""

    @property
    def closed_messages(self) -> int:
        """The number of messages in closed conversations, including conversations that were forgotten since."""

    @property
    def live(self) -> int:
        """The number of interactions in the state, in memory and on disk."""

    @property
    def ids(self) -> int:
        """The number of ids of accepted events in memory."""

    @property
    def stored(self) -> int:
        """The number of live interactions that are on disk. Read only if `spills` is set."""

    @property
    def in_force(self) -> PolicyInForce:
        """The policy in force after the last record processed."""

    @property
    def oldest_ms(self) -> int:
        """The earliest event time that is not late by now. It never goes back. Part of the mark of a checkpoint."""

    def adopt(self, in_force: PolicyInForce, oldest_ms: int) -> None:
        """Begin with the policy of a checkpoint, and with its `oldest_ms`. Called before `finish`, if at all."""

    def go_on(self) -> Processed:
        """Process the rest of a batch of which `process`, or this method, has returned a part with `switched`.

        Called when the records of that part have been sent, because a policy must stand between the metered updates of
        the records before it and those of the records after it.
        """

    def process(self, records: Sequence[Fetched]) -> Processed:
        """Process a batch that is not empty, up to a record that puts another policy in force.

        Its offsets ascend, and are above those of the batch before.

        A record that cannot be read or breaks a rule becomes a dead letter and changes nothing else. A readable record
        of a workspace that belongs to another partition is moved and changes nothing else; it does not tell the time
        here. An exception means that the state may be half updated: the engine must not be used any more.
        """

    def changed(self) -> Iterable[bytes]:
        """Return blocks with every entry that was added, changed or ended since the last call.

        Called first in each checkpoint, and read to its end. Must not return a change twice.
        """

    def sweep(self, size_bytes: int) -> tuple[bytes, bool]:
        """Return a block of the next entries, of `size_bytes` or little more, and whether the sweep ends with it.

        Called after `changed`, in each checkpoint. Every entry present for the whole sweep is returned; one added
        during it may wait for the next. The block may be empty before the sweep's end.
        """

    def load(self, offset: int, block: bytes) -> None:
        """Take the entries of a block that was written as of input `offset`, while the state is restored.

        Not called after `finish` or `process`. Blocks come in any order; of a key the entry with the highest offset
        counts. Raises ValueError if the block cannot be read.
        """

    def finish(self, floor: int, watermark_ms: int, closed_messages: int) -> None:
        """Begin with what was loaded, as of a checkpoint with this watermark and this number of closed messages.

        Called once, after the last `load` and before the first `process`. Without a checkpoint, called with -1, 0, 0.
        Entries as of offset `floor` or before do not count. Raises ValueError if an entry contradicts the watermark: a
        timer that is due before it, or a message that is newer.
        """


class MakeEngine(Protocol):
    """Makes an engine without state for one of the `partitions` of chat-events."""

    def __call__(self, policy: Policy, partition: int, partitions: int = 1, /) -> Engine:
        """Return the engine."""
