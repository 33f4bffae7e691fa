"""A refused record, whole, and why (DOMAIN, Metering 6). Its bytes are the Kafka value; the rest are headers."""

import msgspec

# Headers of a record on dead-letters.
CODE = "code"
REASON = "reason"
TOPIC = "source-topic"
PARTITION = "source-partition"
OFFSET = "source-offset"
NULL = "source-null"
"""Present when the refused record had no value at all, which Kafka would take for a deletion mark."""

REPLAY_OF = "replay-of"
"""Id of the letter that a record puts back. On the record itself, and on the letter of one that was refused again."""


class DeadLetter(msgspec.Struct, frozen=True):
    """`code` is one of few words, for counting; `reason` is a sentence that names the field."""

    code: str
    reason: str
    source_topic: str
    source_partition: int
    source_offset: int
    key: bytes | None
    value: bytes | None
    replay_of: str = ""

    @property
    def letter_id(self) -> str:
        """Where the refused record lay, as people type it: `chat-events/3/2238`."""
        return f"{self.source_topic}/{self.source_partition}/{self.source_offset}"

    def headers(self) -> list[tuple[str, bytes]]:
        """The Kafka headers that say all but key and value."""
        headers = [
            (CODE, self.code.encode()),
            (REASON, self.reason.encode()),
            (TOPIC, self.source_topic.encode()),
            (PARTITION, str(self.source_partition).encode()),
            (OFFSET, str(self.source_offset).encode()),
        ]
        if self.value is None:
            headers.append((NULL, b"1"))
        if self.replay_of:
            headers.append((REPLAY_OF, self.replay_of.encode()))
        return headers


def from_record(key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]) -> DeadLetter:
    """The dead letter that a record of the dead-letters topic stands for. A foreign record there says so itself."""
    found = {name: value.decode("utf-8", "replace") for name, value in headers}
    return DeadLetter(
        code=found.get(CODE, "foreign"),
        reason=found.get(REASON, "headers: this record was not written by the meter"),
        source_topic=found.get(TOPIC, ""),
        source_partition=int(found.get(PARTITION, "-1")),
        source_offset=int(found.get(OFFSET, "-1")),
        key=key,
        value=None if NULL in found else value,
        replay_of=found.get(REPLAY_OF, ""),
    )
