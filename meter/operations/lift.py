"""Lifting a log: making it longer with records that change nothing, until it goes on above a stage's mark.

A stage orders everything by the offsets of its input, and so do wallets and the tables of ClickHouse. Where a log ends
before an offset that was read already, new records would get offsets for the second time. Fillers use these offsets up;
then the records that may be new are written once more, above them. A repeat of a record changes nothing, so this may
happen any number of times.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from meter.kafka import reader
from meter.kafka.records import Record
from meter.kafka.topics import KafkaTopics
from meter.operations.cluster import ends_of
from schemas.events import encode_tick
from schemas.headers import Headers
from schemas.metered import SafePoint
from schemas.topics import CHAT_EVENTS, WALLET_INPUTS, Topic

FILLER: Final[Headers] = [("filler", b"1")]
"""The headers of a record that only uses up an offset."""

AT_ONCE: Final = 10_000
"""How many records are written before the next are made."""


async def fill(topics: KafkaTopics, bootstrap: str, topic: Topic, partition: int, target: int) -> int:
    """Write fillers until the partition ends at offset `target` or above, and return its end.

    Others may write to it meanwhile.
    """
    while (end := await _end(topics, bootstrap, topic, partition)) < target:
        await topics.write(topic.name, partition, _fillers(topic, partition, min(target - end, AT_ONCE)))
    return end


async def copy_up(
    topics: KafkaTopics, bootstrap: str, topic: Topic, partition: int, start: int, target: int, since_ms: int
) -> int:
    """Write the records from offset `start` to before `target` once more, at the end. Returns how many.

    Leaves out fillers, and what is older than `since_ms`.
    """
    copies: list[Record] = []
    copied = 0
    async for record in reader.records(bootstrap, topic, {partition: start}):
        if record.offset >= target:
            break
        headers = list(record.headers)
        if headers != FILLER and record.timestamp >= since_ms:
            copies.append(Record(record.key, record.value, headers))
        if len(copies) >= AT_ONCE:
            copied += len(copies)
            await topics.write(topic.name, partition, copies)
            copies = []
    await topics.write(topic.name, partition, copies)
    return copied + len(copies)


async def _end(topics: KafkaTopics, bootstrap: str, topic: Topic, partition: int) -> int:
    return (await ends_of(bootstrap, topic, await topics.partitions(topic.name)))[partition].end


def _fillers(topic: Topic, partition: int, count: int) -> Iterator[Record]:
    """Yield records that the topic's stage reads without effect: event time does not go back, nor does a safe point.

    On account-commands no record is without effect. There fillers have no value; the mark lies above all of them.
    """
    point = SafePoint(origin_partition=partition, origin_offset=-1, watermark_ms=0)
    values = {CHAT_EVENTS.name: encode_tick(0), WALLET_INPUTS.name: msgspec.json.encode(point)}
    for _ in range(count):
        yield Record(None, values.get(topic.name), FILLER)
