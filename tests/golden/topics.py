"""All topics in memory with one partition each, for real stages; written to a file and read from it."""

import base64
from collections.abc import AsyncIterator, Sequence
from typing import Any

from aiokafka import ConsumerRecord
from faust.types import TP

from meter.kafka.fetched import Batch
from meter.kafka.records import Delivery, Packed, Record
from meter.stage.blocks import pack, unpack
from meter.stage.fold import MakeFold
from meter.stage.found import BLOCK
from meter.stage.stage import Stage
from schemas.topic_identity import TopicIdentity
from schemas.topics import CONVERSATION_STATE, WALLET_STATE, Topic
from tests.one_member import OneMember
from tests.packed_records import unpacked
from tests.properties.memory_log import MemoryLog

STATES = (CONVERSATION_STATE.name, WALLET_STATE.name)

EPOCH = 2
"""The leader epoch of every record."""

NOW_MS = 1_767_225_600_000
"""The Kafka timestamp of every record: the beginning of 2026."""


class Topics(MemoryLog):
    """The port `Topics`. Every record is acknowledged at once."""

    def __init__(self) -> None:
        super().__init__(1, NOW_MS)

    async def identity(self, topic: str) -> TopicIdentity:
        return TopicIdentity("golden", f"id of {topic}", 1)

    async def append_packed(self, topic: str, packed: Packed) -> list[Delivery]:
        return await self.append(topic, packed.partition, unpacked(packed))

    async def write_one(self, topic: str, partition: int, record: Record) -> int:
        await self.write(topic, partition, [record])
        return len(self.topics[topic, partition]) - 1

    async def end(self, topic: str, partition: int) -> int:
        return len(self.topics[topic, partition])

    async def end_of_epoch(self, topic: str, partition: int, epoch: int) -> None:
        """No epoch is known."""

    async def read(self, topic: str, partition: int, start: int, end: int) -> AsyncIterator[Sequence[ConsumerRecord]]:
        yield self.topics[topic, partition][start : end + 1]

    def as_json(self) -> dict[str, Any]:
        """Every record, by topic. Bytes that are text are kept as text, so that a difference can be read."""
        return {
            topic: [
                {
                    "key": _text(record.key),
                    "value": _text(_in_order(record)),
                    "headers": [[name, _text(value)] for name, value in record.headers],
                }
                for record in records
            ]
            for (topic, _), records in sorted(self.topics.items())
        }

    def add_json(self, kept: dict[str, Any]) -> None:
        """Append what `as_json` returned."""
        for topic, records in kept.items():
            for each in records:
                headers = [(name, _bytes(value) or b"") for name, value in each["headers"]]
                self.add(topic, 0, Record(_bytes(each["key"]), _bytes(each["value"]), headers))


def _in_order(record: ConsumerRecord) -> bytes | None:
    """The value. Entries of a block are sorted: their order in it is that of a set, and means nothing."""
    value: bytes | None = record.value
    if not value or record.topic not in STATES or record.key[:1] != BLOCK:
        return value
    return b"".join(pack(sorted(unpack(value), key=lambda entry: entry[0])))


def _text(value: bytes | None) -> Any:
    if value is None:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
    return text if text.isprintable() else {"base64": base64.b64encode(value).decode()}


def _bytes(kept: Any) -> bytes | None:
    if kept is None:
        return None
    return kept.encode() if isinstance(kept, str) else base64.b64decode(kept["base64"])


class OnlyMember(OneMember):
    """The group of a stage, and a clock that stands."""

    def __init__(self, topics: Topics) -> None:
        super().__init__(lambda tp: len(topics.topics[tp.topic, tp.partition]))

    def monotonic(self) -> float:
        return 0.0

    def time(self) -> float:
        return NOW_MS / 1000


class Reader:
    """One stage, restored from what its topics hold. Each `read` processes what is new, and makes a checkpoint."""

    def __init__(self, topics: Topics, source: Topic, state: Topic, make_fold: MakeFold) -> None:
        self._topics = topics
        self._tp = TP(source.name, 0)
        member = OnlyMember(topics)
        self._stage = Stage(
            topics,  # type: ignore[arg-type]
            member,
            source,
            state,
            make_fold,
            checkpoint_ms=0,
            session_ms=10_000,
            clock=member,
        )

    async def read(self) -> None:
        await self._stage.run_periodic()
        (partition,) = self._stage._partitions.values()
        records = self._topics.topics[self._tp][partition.next_offset :]
        if records:
            batch = Batch(self._tp, partition.next_offset, records, records[-1].offset, EPOCH)
            await self._stage.process(batch, 1)

    async def leave_out(self, offset: int, reason: str) -> None:
        """As if owners had ended at a record."""
        await self._stage.run_periodic()
        (partition,) = self._stage._partitions.values()
        await partition.checkpoints.quarantine.leave_out(offset, reason)
