"""A record of the dead-letters topic: a refused record and the reason (DOMAIN, Metering 6).

The refused record's key and value are the Kafka key and value. Everything else is in headers.
"""

import msgspec

from schemas.moves import MOVED_FROM
from schemas.rejection_codes import FOREIGN

# Names of the headers of a record on dead-letters.
CODE = "code"
REASON = "reason"
TOPIC = "source-topic"
PARTITION = "source-partition"
OFFSET = "source-offset"
NULL = "source-null"
"""Present when the refused record had a null value.

Such a letter is written with an empty value, because Kafka takes a null value for a deletion mark. The header keeps a
null value distinct from an empty one.
"""

REPLAY_OF = "replay-of"
"""Id of the letter that a record was put back for.

On the record that is put back, and on its dead letter if it is refused again.
"""


class DeadLetter(msgspec.Struct, frozen=True):
    """A refused record, whole, with the location that it was read from and the reason.

    `code` is a `RejectionCode`, or FOREIGN. `reason` is a sentence that names the field. `replay_of` is the
    id of the letter that the refused record had been put back for, or "". `moved_from` is where the refused record lay
    before it was moved to where it was read, or "".
    """

    code: str
    reason: str
    source_topic: str
    source_partition: int
    source_offset: int
    key: bytes | None
    value: bytes | None
    replay_of: str = ""
    moved_from: str = ""

    @property
    def letter_id(self) -> str:
        """The location of the refused record, TOPIC/PARTITION/OFFSET, as operators type it: `chat-events/3/2238`."""
        return f"{self.source_topic}/{self.source_partition}/{self.source_offset}"

    def headers(self) -> list[tuple[str, bytes]]:
        """The Kafka headers: all fields except `key` and `value`."""
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
        if self.moved_from:
            headers.append((MOVED_FROM, self.moved_from.encode()))
        return headers


def from_record(key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]) -> DeadLetter:
    """Read a record of the dead-letters topic.

    A record that the meter did not write lacks the headers. It gets code `foreign`, topic "", partition and offset -1.
    Raises ValueError if a header for partition or offset is not a number.
    """
    found = {name: value.decode("utf-8", "replace") for name, value in headers}
    return DeadLetter(
        code=found.get(CODE, FOREIGN),
        reason=found.get(REASON, "headers: this record was not written by the meter"),
        source_topic=found.get(TOPIC, ""),
        source_partition=int(found.get(PARTITION, "-1")),
        source_offset=int(found.get(OFFSET, "-1")),
        key=key,
        value=None if NULL in found else value,
        replay_of=found.get(REPLAY_OF, ""),
        moved_from=found.get(MOVED_FROM, ""),
    )
