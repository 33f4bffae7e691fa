"""What clients with keys and partitioners of their own write in a round, so that the meter has to move it."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from meter.kafka.records import Record
from meter.kafka.topics import KafkaTopics
from schemas.topics import ACCOUNT_COMMANDS, CHAT_EVENTS, METER_GROUP, WALLET_INPUTS
from tests.feeds.lines import is_command, time_of

SLICES: Final = 3
"""How many slices of a round are written so, in part."""

FEW, PARTS = 10, 40
"""Only short slices are: so many lines, or so small a part of the feed, which is some two hours of event time."""

SHARE: Final = 0.7
LONGEST_S: Final = 120.0
_KEYS: Final = (None, b"conversation-7", b"prepaid", b"\xff\x00")
_TOPICS: Final = (ACCOUNT_COMMANDS, CHAT_EVENTS, WALLET_INPUTS)


def foreign_of(slices: Sequence[Sequence[bytes]], rng: Random) -> dict[int, list[bytes]]:
    """The number of a slice -> those of its lines that are written so.

    They are written before the slice's other lines. So only lines are taken that mean the same there: readable ones
    whose id no other line of their workspace has, of the commands the first of a slice, and of the events none that
    moves the feed's clock: another partition learns of the time by a tick of our feeder, and a foreign client writes
    none.
    """
    moving = _clock_movers(slices)
    ids = Counter(_id(line) for lines in slices for line in lines)
    chosen: dict[int, list[bytes]] = {}
    most = max(FEW, sum(map(len, slices)) // PARTS)
    short = [number for number, lines in enumerate(slices) if 0 < len(lines) <= most]
    for number in sorted(rng.sample(short, min(SLICES, len(short)))):
        commands = [line for line in slices[number] if is_command(line)][:1]
        events = [
            line
            for at, line in enumerate(slices[number])
            if not is_command(line) and rng.random() < SHARE and (number, at) not in moving
        ]
        chosen[number] = [line for line in commands + events if ids[_id(line)] == 1 and _id(line) is not None]
    return chosen


def _clock_movers(slices: Sequence[Sequence[bytes]]) -> set[tuple[int, int]]:
    """The number of the slice, and that within it, of each event that is later than all events before it."""
    found: set[tuple[int, int]] = set()
    newest_ms = -1
    for number, lines in enumerate(slices):
        for at, line in enumerate(lines):
            at_ms = None if is_command(line) or _id(line) is None else time_of(line)
            if at_ms is not None and at_ms > newest_ms:
                newest_ms = at_ms
                found.add((number, at))
    return found


def _id(line: bytes) -> tuple[str, str, str] | None:
    """(source, id, workspace); None for a line that may be refused."""
    try:
        record: Any = json.loads(line)
        found = record["source"], record["id"], record["data"]["workspace_id"]
    except (ValueError, TypeError, KeyError):
        return None
    return None if found[0] == "/broken" or not all(isinstance(each, str) for each in found) else found


async def write_foreign(bootstrap: str, log: KafkaTopics, lines: Sequence[bytes], rng: Random) -> None:
    """Write lines to any partition under any key, a command to either topic; return when all of it is where it belongs.

    Until then nothing else may be written: event time would go on by days, and what is moved would come too late.
    """
    for line in lines:
        topic = rng.choice((ACCOUNT_COMMANDS, WALLET_INPUTS)) if is_command(line) else CHAT_EVENTS
        partition = rng.randrange(await log.partitions(topic.name))
        await log.write(topic.name, partition, [Record(rng.choice(_KEYS), line)])
    for _ in range(2 if lines else 0):  # What was moved is to be read too.
        await _read_by_the_meter(bootstrap, log)


async def _read_by_the_meter(bootstrap: str, log: KafkaTopics) -> None:
    """Wait until the meter's group has committed all that lies on its topics now, through any fault."""
    places = [TopicPartition(topic.name, at) for topic in _TOPICS for at in range(await log.partitions(topic.name))]
    began_at, ends = time.monotonic(), dict[TopicPartition, int]()
    while time.monotonic() - began_at < LONGEST_S:
        try:
            async with AIOKafkaConsumer(
                bootstrap_servers=bootstrap, group_id=METER_GROUP, enable_auto_commit=False
            ) as consumer:
                ends = ends or await consumer.end_offsets(places)
                while any([(await consumer.committed(place) or 0) < end for place, end in ends.items()]):
                    assert time.monotonic() - began_at < LONGEST_S, "foreign records were not moved"
                    await asyncio.sleep(0.05)
                return
        except KafkaError:
            await asyncio.sleep(0.2)
    raise AssertionError("foreign records were not moved")
