"""Dead letters: rejected records as the dead-letters topic gets them (docs/DOMAIN.md, Metering 6)."""

from typing import Final

from meter import metrics
from meter.core.rejection import Rejected
from meter.kafka.decoding import UNREADABLE_BATCH, Unreadable
from meter.kafka.fetched import Fetched
from meter.kafka.records import Record
from meter.stage.fold import Output
from schemas.dead_letters import DeadLetter
from schemas.rejection_codes import RejectionCode
from schemas.replays import marks_of
from schemas.shortened_letters import fitted, without_value
from schemas.topics import DEAD_LETTERS, Topic

CARD_NUMBER: Final[RejectionCode] = "card_number"
"""The code of a record whose value no letter may repeat: letters are kept for ever, and shown."""

INTERNAL: Final[RejectionCode] = "internal"
"""The code of a record that the product itself could not process."""


def dead_letter(topic: Topic, partition: int, record: Fetched, rejected: Rejected) -> DeadLetter:
    """Return the letter of a record at `partition` of `topic`: the record and why it was rejected.

    It holds the record whole, with its headers, or says that it is shortened. One with the number of a card has no
    value. If the record was itself a replay of an earlier letter, `replay_of` names that letter. Otherwise a reader
    could not see that the replay failed. What stands for a batch that cannot be read becomes the letter of that batch.
    """
    if isinstance(record, Unreadable):
        letter = DeadLetter(UNREADABLE_BATCH, record.reason, topic.name, partition, record.offset, None, record.batch)
        return fitted(letter)
    replay_of, nonce = marks_of(record.headers)
    letter = DeadLetter(
        rejected.code,
        rejected.reason,
        topic.name,
        partition,
        record.offset,
        record.key,
        record.value,
        replay_of,
        nonce,
        tuple(record.headers or ()),
    )
    return fitted(without_value(letter) if rejected.code == CARD_NUMBER else letter)


def left_out(topic: Topic, partition: int, record: Fetched, reason: str) -> Output:
    """Return the dead letter of a record that is left out because workers ended while they processed it."""
    return dead_letters([dead_letter(topic, partition, record, Rejected(INTERNAL, reason))])


def dead_letters(letters: list[DeadLetter]) -> Output:
    """Count the letters by code and return them as records, each under the key of the rejected record, if any."""
    for letter in letters:
        metrics.DEAD_LETTERS.labels(letter.code).inc()
    return Output(DEAD_LETTERS, [Record(each.key, each.value or b"", each.headers()) for each in letters])
