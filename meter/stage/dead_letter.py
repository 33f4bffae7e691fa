"""Dead letters: rejected records as the dead-letters topic gets them (docs/DOMAIN.md, Metering 6)."""

from typing import Final

from meter import metrics
from meter.core.rejection import Rejected
from meter.kafka.decoding import UNREADABLE_BATCH, Unreadable
from meter.kafka.fetched import Fetched
from meter.kafka.records import Record
from meter.stage.fold import Output
from schemas.dead_letters import REPLAY_OF, DeadLetter
from schemas.moves import move_of
from schemas.rejection_codes import RejectionCode
from schemas.topics import DEAD_LETTERS, Topic

INTERNAL: Final[RejectionCode] = "internal"
"""The code of a record that the product itself could not process."""


def dead_letter(topic: Topic, partition: int, record: Fetched, rejected: Rejected) -> DeadLetter:
    """Return the letter of a record at `partition` of `topic`: the record, whole, and why it was rejected.

    If the record was itself a replay of an earlier letter, `replay_of` names that letter. Otherwise a reader could not
    see that the replay failed. If the record was moved, `moved_from` is where it lay: a replay puts it back there. What
    stands for a batch that cannot be read becomes the letter of that batch.
    """
    if isinstance(record, Unreadable):
        return DeadLetter(UNREADABLE_BATCH, record.reason, topic.name, partition, record.offset, None, record.batch)
    move = move_of(record.headers, topic.name)
    replay_of = dict(record.headers).get(REPLAY_OF, b"").decode("utf-8", "replace")
    return DeadLetter(
        rejected.code,
        rejected.reason,
        topic.name,
        partition,
        record.offset,
        record.key,
        record.value,
        replay_of,
        move.location if move is not None else "",
    )


def left_out(topic: Topic, partition: int, record: Fetched, reason: str) -> Output:
    """Return the dead letter of a record that is left out because workers ended while they processed it."""
    return dead_letters([dead_letter(topic, partition, record, Rejected(INTERNAL, reason))])


def dead_letters(letters: list[DeadLetter]) -> Output:
    """Count the letters by code and return them as records, each under the key of the rejected record, if any."""
    for letter in letters:
        metrics.DEAD_LETTERS.labels(letter.code).inc()
    return Output(DEAD_LETTERS, [Record(each.key, each.value or b"", each.headers()) for each in letters])
