"""The layout in the topic `policies`: how many partitions all topics have, and whether a change of it is unfinished.

All layout records are in partition 0. A record counts if it follows the last that counted, so processes that write at
once agree on what counts (`schemas/layout.py`).
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Protocol

import msgspec
from aiokafka import ConsumerRecord

from meter.kafka.records import Record
from schemas.layout import LayoutRecord, decode_layout, encode_layout
from schemas.topics import CHAT_EVENTS, POLICIES

_PARTITION = 0


class LayoutError(Exception):
    """The topics do not have the layout that the state was saved with. The message says which command goes on."""


class Topics(Protocol):
    """The methods of the port `Topics` (`meter/stage/ports.py`) that are needed here."""

    async def partitions(self, topic: str) -> int: ...
    async def write_one(self, topic: str, partition: int, record: Record) -> int: ...
    async def end(self, topic: str, partition: int) -> int: ...
    def read(self, topic: str, partition: int, start: int, end: int) -> AsyncIterator[Sequence[ConsumerRecord]]: ...


async def read_layout(topics: Topics) -> LayoutRecord | None:
    """Return the layout; None if no process has written one yet."""
    end = await topics.end(POLICIES.name, _PARTITION)
    last: LayoutRecord | None = None
    async for records in topics.read(POLICIES.name, _PARTITION, 0, end - 1):
        for each in _readable(records):
            if each.counts_after(last):
                last = each
    return last


def _readable(records: Sequence[ConsumerRecord]) -> Iterable[LayoutRecord]:
    for record in records:
        try:
            yield decode_layout(record.value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue  # A version of the policy.


async def write_layout(topics: Topics, wanted: LayoutRecord) -> None:
    """Write the next step of the layout. Raises LayoutError if another process has written another one meanwhile."""
    await topics.write_one(POLICIES.name, _PARTITION, Record(None, encode_layout(wanted)))
    if await read_layout(topics) != wanted:
        raise LayoutError(
            "another `python -m meter repartition` has gone on meanwhile: let it end, or end it and run this one again"
        )


async def agreed_layout(topics: Topics) -> None:
    """Check that the topics have the layout of the state. The first process writes the layout down.

    Called before a worker starts, when all topics are known to have the same number of partitions. Raises LayoutError.
    """
    found = await topics.partitions(CHAT_EVENTS.name)
    layout = await read_layout(topics)
    if layout is None:
        await write_layout(topics, LayoutRecord(generation=0, partitions=found))
    elif layout.step != "done":
        raise LayoutError(
            f"the topics are being changed from {layout.before} to {layout.partitions} partitions: "
            f"run `{command(layout.partitions)}`, which goes on where it ended"
        )
    elif layout.partitions < found:
        raise LayoutError(
            f"the topics have {found} partitions, and the state was saved with {layout.partitions}: workspaces are in "
            f"other partitions now; run `{command(found)}`, which moves their state"
        )
    elif layout.partitions > found:
        raise LayoutError(
            f"the topics have {found} partitions, and the state was saved with {layout.partitions}: they were deleted "
            "and created again; run `python -m meter begin-anew`, which makes all topics again, empty"
        )


def command(partitions: int) -> str:
    """The command that gives all topics so many partitions."""
    return f"python -m meter repartition --to {partitions} --yes"
