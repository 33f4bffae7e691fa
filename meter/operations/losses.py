"""Finding what was lost between a checkpoint and its source topic, from offsets and identities alone.

A stage goes on after its newest mark. It cannot where the log begins later (records were deleted unread), where the log
ends earlier (the broker lost records that it had acknowledged, or a copy has other offsets), where such a log was
written to again beyond the mark, or where the topic is another one of the same name. In the last three cases new
records may lie at offsets that the stage has passed already. Leader epochs tell from which offset on.
"""

from typing import Final, Literal, NamedTuple, cast

from meter.operations.cluster import Ends, Saved
from schemas.instants import rfc3339
from schemas.topic_identity import TopicIdentity

Kind = Literal["deleted", "shorter", "replaced", "another"]

CLOCKS_MS: Final = 10 * 60_000
"""How far the clocks of brokers and workers may be apart."""

UNKNOWN_MS: Final = -1

_UNFINISHED: Final = "accept-loss"


class Times(NamedTuple):
    """Kafka's times of what lies around a loss, in ms since 1970; UNKNOWN_MS where it is deleted or not there.

    `last_before_ms` and `first_after_ms` are those of records. `saved_ms` is that of the mark: what was read before the
    loss had arrived by then.
    """

    last_before_ms: int = UNKNOWN_MS
    saved_ms: int = UNKNOWN_MS
    first_after_ms: int = UNKNOWN_MS

    @property
    def sentence(self) -> str:
        """The times in words, without a period."""
        return (
            f"last record before: {self.last_before_at or 'not known'}, state saved: "
            f"{self.saved_at or 'not known'}, first record after: {self.first_after_at or 'none yet'}"
        )

    @property
    def last_before_at(self) -> str | None:
        """RFC 3339; None if it is not known, as of all three."""
        return _instant(self.last_before_ms)

    @property
    def saved_at(self) -> str | None:
        """The time of the mark."""
        return _instant(self.saved_ms)

    @property
    def first_after_at(self) -> str | None:
        """The time of the first record after the loss, or in its place."""
        return _instant(self.first_after_ms)


def _instant(ms: int) -> str | None:
    return None if ms == UNKNOWN_MS else rfc3339(ms)


class Loss(NamedTuple):
    """The loss of one partition of a source topic: the offsets from `first` to `last`.

    `mark_offset` is that of the newest ordinary mark. For a topic created again it is not known how many records were
    lost; `first` and `last` are then the next offset. `copy_from` and `since_ms` say which records may be new to the
    stage although they lie at offsets that it has passed. `times` is when what was lost arrived, as far as known.
    """

    kind: Kind
    topic: str
    partition: int
    first: int
    last: int
    mark_offset: int
    copy_from: int = 0
    since_ms: int = 0
    times: Times = Times()

    @property
    def letter_offset(self) -> int:
        """The offset at which the dead letter says that the loss is. No record that was read has lain there."""
        return self.first if self.kind == "deleted" else self.mark_offset + 1

    @property
    def sentence(self) -> str:
        """The loss in words, without a period."""
        offsets = f"offsets {self.first} to {self.last}"
        if self.kind == "deleted":
            return f"{offsets} were deleted unread, at most {self.last - self.first + 1} records"
        if self.kind == "shorter":
            return f"{offsets} are gone from the log; they were processed, and cannot be processed again"
        if self.kind == "replaced":
            gone = f"{offsets} were lost by the broker, and other records have their offsets now"
            return f"{gone}; they were processed, and cannot be processed again; the others are read"
        return f"the topic was created again; what was not read of the former one, from offset {self.first} on, is gone"


def loss_of(
    topic: str, partition: int, saved: Saved, now: TopicIdentity, ends: Ends, epoch_end: int | None = None
) -> Loss | None:
    """Return what a partition has lost since its mark; None if the stage can go on there.

    `epoch_end` is where the records of the mark's leader epoch end in the log; None if that is not known. Records from
    there on, up to the mark, were lost, and all that lie there now are new.
    """
    source, mark_offset = saved.mark.life.source, saved.version.offset
    next_offset = mark_offset + 1
    if plan := _unfinished(topic, partition, source, mark_offset - 1):
        return plan
    if not source.is_same_life(now):
        return Loss("another", topic, partition, next_offset, next_offset, mark_offset, ends.beginning)
    if ends.beginning > next_offset:
        return Loss("deleted", topic, partition, next_offset, ends.beginning - 1, mark_offset)
    if epoch_end is not None and epoch_end < next_offset:
        kind: Kind = "replaced" if epoch_end < ends.end else "shorter"
        return Loss(kind, topic, partition, epoch_end, mark_offset, mark_offset, max(epoch_end, ends.beginning))
    if ends.end < next_offset:
        since_ms = saved.saved_ms - CLOCKS_MS
        return Loss("shorter", topic, partition, ends.end, mark_offset, mark_offset, ends.beginning, since_ms)
    return None


def plan_of(loss: Loss, now: TopicIdentity) -> TopicIdentity:
    """Return the identity of a mark that says that this loss is being accepted.

    No topic has such an id, so no worker starts from this mark, and the command finds in it what it had planned.
    """
    words = (_UNFINISHED, loss.kind, loss.first, loss.last, loss.copy_from, loss.since_ms, *loss.times)
    return TopicIdentity(now.cluster_id, " ".join(map(str, words)), now.partitions)


def _unfinished(topic: str, partition: int, source: TopicIdentity, mark_offset: int) -> Loss | None:
    """Return the loss that a mark says is being accepted; None if it is an ordinary mark."""
    name, *words = source.topic_id.split(" ")
    if name != _UNFINISHED:
        return None
    kind, *numbers = words
    first, last, copy_from, since_ms, *times = map(int, numbers)
    return Loss(cast(Kind, kind), topic, partition, first, last, mark_offset, copy_from, since_ms, Times(*times))
