"""Copying conversations and accepted ids, and the marks with which their partitions go on."""

from collections.abc import Sequence

import msgspec

from meter.core.policy import PolicyInForce
from meter.core.sessions.keys import is_bucket_key, pack_bucket_key, pack_key, unpack_bucket_key, unpack_key
from meter.core.sessions.sessionize import Sessions
from meter.core.sessions.state_codec import pack_bucket, pack_interaction, unpack_bucket, unpack_interaction
from meter.core.sessions.updates import MeteredUpdates
from meter.core.sessions.varints import decode_signed
from meter.kafka.records import Record
from meter.operations.repartition.routes import Routes
from meter.operations.repartition.sources import KeyedValue, Source, entries
from meter.operations.repartition.targets import Targets
from meter.sessionizer.sessionizer import Mark, decode_mark
from meter.stage.ports import Topics
from schemas.topics import WALLET_INPUTS

_encode_json = msgspec.json.Encoder().encode


def mark_of(source: Source) -> Mark:
    """Return the sessionizer's part of the mark of a partition."""
    return decode_mark(source.mark.fold) if source.mark and source.mark.fold else Mark()


class Clock:
    """The event time of a group of partitions: the highest of its sources, so that what was late stays late."""

    def __init__(self, marks: Sequence[Mark]) -> None:
        newest = max(marks, key=lambda mark: mark.watermark_ms)
        self.watermark_ms = newest.watermark_ms
        self.arrived_ms = newest.arrived_ms
        self.oldest_ms = max(mark.oldest_ms for mark in marks)
        """Events before this time are late."""


class SessionsCopy:
    """Copies the state of the sessionizer. `offsets` are those of the marks with which the partitions go on."""

    def __init__(self, topics: Topics, routes: Routes, sources: Sequence[Source], offsets: Sequence[int]) -> None:
        self._topics = topics
        self._routes = routes
        self._sources = sources
        self._offsets = offsets
        marks = [mark_of(source) for source in sources]
        self.clocks = [Clock([marks[number] for number in routes.sources(each)]) for each in range(routes.groups)]
        self.in_force = newest_policy([mark.in_force for mark in marks])
        self.closed_messages = [0] * routes.after
        """Messages of the conversations that were closed because the clock of their partition has gone on."""
        self.interactions = 0
        self._first_numbers = [0] * routes.groups
        """The number of the next source's first bucket of ids."""

    async def run(self, targets: Targets) -> None:
        """Copy each interaction to its workspace's partition, and each bucket of ids to all of its group.

        An id does not say of which workspace it is.
        """
        for source in self._sources:
            group, buckets = self._routes.group(source.partition), 0
            async for entry in entries(self._topics, source):
                if is_bucket_key(entry.key):
                    number = unpack_bucket_key(entry.key)
                    buckets = max(buckets, number + 1)
                    await self._copy_bucket(targets, group, self._first_numbers[group] + number, entry.value)
                else:
                    await self._copy_interaction(targets, source, entry)
            self._first_numbers[group] += buckets
        await targets.flush()

    async def _copy_bucket(self, targets: Targets, group: int, number: int, value: bytes) -> None:
        kept = within_reach(value, self.clocks[group].oldest_ms)
        if kept:
            key = pack_bucket_key(number)
            for target in self._routes.targets(group):
                await targets.add(target, key, kept)

    async def _copy_interaction(self, targets: Targets, source: Source, entry: KeyedValue) -> None:
        self.interactions += 1
        target = self._routes.target(source.partition, unpack_key(entry.key)[0])
        clock = self.clocks[self._routes.group(target)]
        due_ms, _ = decode_signed(entry.value, 0)
        value = entry.value if due_ms > clock.watermark_ms else await self._advance(target, clock, entry)
        if value:
            await targets.add(target, entry.key, value)

    async def _advance(self, target: int, clock: Clock, entry: KeyedValue) -> bytes:
        """Return an interaction after what was due before the clock of its new partition; empty if it has ended.

        The wallets hear of what closes like of any close: as caused by the record of the mark, in the new generation.
        """
        assert self.in_force is not None, "an interaction has come with a policy"
        key, offset = unpack_key(entry.key), self._offsets[target]
        sessions = Sessions(self.in_force.policy, clock.watermark_ms)
        sessions.floor_ms = clock.oldest_ms
        sessions.restore({key: unpack_interaction(entry.value)}, {})
        updates = MeteredUpdates(target, self.in_force.policy.gap_ms, self._routes.generation)
        for _, conversation in sessions.advance():
            updates.closed(key, conversation, offset, 0)
        self.closed_messages[target] += sessions.closed_messages
        records = [Record(each.workspace_id.encode(), _encode_json(each)) for each in updates.drain()]
        await self._topics.write(WALLET_INPUTS.name, target, records)
        advanced = sessions.interactions.get(key)
        assert pack_key(key) == entry.key
        return pack_interaction(advanced) if advanced else b""

    def mark(self, own: Mark, target: int, closed_messages: int) -> Mark:
        """Return the mark of a partition whose former one was `own`, empty for one that is new.

        Counts belong to the log of a partition, so they stay. Only messages of closed conversations go with them.
        """
        clock = self.clocks[self._routes.group(target)]
        counts = msgspec.structs.replace(own.counts, closed_messages=closed_messages + self.closed_messages[target])
        return Mark(clock.watermark_ms, counts, self.in_force, clock.oldest_ms, clock.arrived_ms)


def newest_policy(found: Sequence[PolicyInForce | None]) -> PolicyInForce | None:
    """Return the policy of the highest version; None if no partition has one yet."""
    return max((each for each in found if each is not None), key=lambda each: each.version, default=None)


def within_reach(bucket: bytes, oldest_ms: int) -> bytes:
    """Return a bucket without the ids that no event in time can repeat; empty if none is left.

    An id that is free again may have been accepted again since. A copy of a bucket from an earlier repartition has only
    the first of the two, and must not hide the second.
    """
    ids = unpack_bucket(bucket)
    kept = [each for each in ids if each.at_ms >= oldest_ms]
    return bucket if len(kept) == len(ids) else pack_bucket(kept)
