"""Rejected records on their way to the dead-letters topic (DOMAIN, Metering 6)."""

from meter import metrics
from meter.core.rejection import Rejected
from meter.kafka.fetched import Fetched
from meter.kafka.records import Record
from meter.stage.fold import Output
from schemas.dead_letters import REPLAY_OF, DeadLetter
from schemas.topics import DEAD_LETTERS, Topic


def dead_letter(topic: Topic, partition: int, record: Fetched, rejected: Rejected) -> DeadLetter:
    """The refused record, whole. If it was to put another letter back, it says so, or nobody would know."""
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
    )


def dead_letters(letters: list[DeadLetter]) -> Output:
    """The letters as records, kept together by the record's own key where it has one."""
    for letter in letters:
        metrics.DEAD_LETTERS.labels(letter.code).inc()
    return Output(DEAD_LETTERS, [Record(each.key, each.value or b"", each.headers()) for each in letters])
