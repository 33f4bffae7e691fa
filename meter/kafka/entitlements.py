"""Reading the compacted topic `entitlements`: of each bot the record with the highest version counts."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import NamedTuple

import msgspec
from aiokafka import ConsumerRecord

from meter.kafka.reader import follow
from schemas.entitlements import EntitlementRecord, decode_entitlement
from schemas.formats import ENTITLEMENT_FORMAT, refuse_newer_json
from schemas.topics import ENTITLEMENTS


class Entitlement(NamedTuple):
    """The newest record of one bot: its version, and its bytes as they lie on the topic."""

    workspace_id: str
    bot_id: str
    version: int
    value: bytes

    def record(self) -> EntitlementRecord:
        """Return the record decoded."""
        return decode_entitlement(self.value)


class Entitlements:
    """The newest records of all bots. A bot takes the bytes of its record and about 300 more."""

    def __init__(self) -> None:
        self._bots: dict[str, dict[str, Entitlement]] = {}
        self.unreadable = 0
        """How many records could not be read, and were passed over."""

    def add(self, value: bytes | None, location: str) -> Entitlement | None:
        """Take a record of the topic, and return it if it is newer than what is known of its bot.

        The workspace and the bot are those that the record names. Its partition does not count: after a repartition,
        and by a worker that was paused, records of one bot may lie in several. Raises NewerFormatError for a record
        that only a newer version of the product can read; `location` is for the message.
        """
        if value is None:
            return None
        try:
            record = decode_entitlement(value)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            refuse_newer_json(location, value, ENTITLEMENT_FORMAT)
            self.unreadable += 1
            return None
        bots = self._bots.setdefault(record.workspace_id, {})
        known = bots.get(record.bot_id)
        if known is not None and known.version >= record.version:
            return None
        newest = bots[record.bot_id] = Entitlement(record.workspace_id, record.bot_id, record.version, value)
        return newest

    def of_bot(self, workspace_id: str, bot_id: str) -> Entitlement | None:
        """Return the newest record of a bot; None if there is none."""
        return self._bots.get(workspace_id, {}).get(bot_id)

    def of_workspace(self, workspace_id: str) -> list[Entitlement]:
        """Return the newest records of a workspace's bots in the order of their versions."""
        return sorted(self._bots.get(workspace_id, {}).values(), key=lambda each: (each.version, each.bot_id))

    def workspaces(self) -> Iterator[str]:
        """Yield the ids of the workspaces that have records, in order."""
        yield from sorted(self._bots)


class Changes(NamedTuple):
    """The records that are newer than what was known, and whether the topic has been read to an end that it had."""

    newer: list[Entitlement]
    is_caught_up: bool


async def follow_entitlements(bootstrap: str, known: Entitlements) -> AsyncGenerator[Changes, None]:
    """Read the topic from its beginning into `known`, and yield what changes, for ever.

    The topic must exist. Raises KafkaConnectionError where no broker answers at the beginning, and NewerFormatError.
    """
    async with aclosing(follow(bootstrap, ENTITLEMENTS)) as topic:
        async for followed in topic:
            found = (known.add(each.value, _location(each)) for each in followed.records)
            yield Changes([each for each in found if each is not None], followed.is_caught_up)


def _location(record: ConsumerRecord) -> str:
    return f"{record.topic}/{record.partition}, offset {record.offset}"
