"""Headers of the records that others write in a simulated life, and whether dead letters keep them."""

from collections.abc import Iterable
from typing import Any, Final
from zlib import crc32

from meter.kafka.records import Delivery, Record
from schemas.dead_letters import from_record
from schemas.headers import Headers
from schemas.topics import ACCOUNT_COMMANDS, CHAT_EVENTS, DEAD_LETTERS, WALLET_INPUTS
from tests.simulation.broker import Broker, Line

CHOICES: Final[tuple[Headers, ...]] = (
    (),
    (("traceparent", b"00-1"), ("again", b"1"), ("again", None)),
    (("code", None), ("source-offset", b"seven"), ("source-headers", b"9")),
    (("replay-of", b"chat-events/0/0"), ("replay-nonce", b"n"), ("n\udcffame", b"\xff")),
    (("replay-of", None),),
)


class ClientLine(Line):
    """The connection of bot runtimes and the console, whose clients write headers of their own."""

    async def append(self, topic: str, partition: int, records: Iterable[Record]) -> list[Delivery]:
        """As `Line` has it. The headers follow from the value alone, so a life stays what it was."""
        return await super().append(topic, partition, [each._replace(headers=headers_of(each)) for each in records])


def headers_of(record: Record) -> Headers:
    """The headers of a record by its value."""
    return CHOICES[crc32(record.value or b"") % len(CHOICES)]


def headers_lost(broker: Broker) -> list[str]:
    """The dead letters whose headers are not those of their records."""
    return [
        f"{letter.letter_id}: {letter.source_headers} and not {record.headers}"
        for (topic, _), written in broker.records.items()
        if topic == DEAD_LETTERS.name
        for letter in (from_record(each.key, each.value, each.headers) for each in written)
        for record in [_source(broker, letter)]
        if list(letter.source_headers) != list(record.headers)
    ]


def _source(broker: Broker, letter: Any) -> Any:
    assert letter.source_topic in (CHAT_EVENTS.name, ACCOUNT_COMMANDS.name, WALLET_INPUTS.name)
    written = broker.records[letter.source_topic, letter.source_partition]
    return next(each for each in written if each.offset == letter.source_offset)
