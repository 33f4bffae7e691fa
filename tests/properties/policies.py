"""Policies among the lines of a feed: each is announced at its place, as `meter policy set` announces it."""

from collections.abc import Sequence
from itertools import groupby

from meter.core.policy import Policy, PolicyInForce
from meter.ingest.feed_files import Line
from meter.ingest.feeder import Feeder
from meter.kafka.records import Record
from meter.stage.ports import Topics
from schemas.events import encode_tick
from schemas.policy import ChargesHeld, decode_policy, encode_policy
from schemas.topics import CHAT_EVENTS


def policy_line(version: int, policy: Policy) -> bytes:
    """A version of the policy as a line of a feed. Every third one is of an earlier version of the product."""
    how: ChargesHeld = "at_once" if version % 3 == 0 else "in_slices"
    return encode_policy(PolicyInForce(policy=policy, version=version, charges_held=how).record())


def is_policy(line: Line) -> bool:
    """Whether a line of a feed is to be announced, and not fed."""
    return b'"meter.policy"' in line.value


class Announcer:
    """Feeds lines, and announces each policy between those before it and those after it."""

    def __init__(self, feeder: Feeder, topics: Topics, policy: Policy) -> None:
        self._feeder = feeder
        self._topics = topics
        self._in_force = PolicyInForce(policy=policy)

    async def feed(self, lines: Sequence[Line]) -> None:
        """Write all lines, and return when the broker has acknowledged them."""
        for announced, some in groupby(lines, is_policy):
            if not announced:
                await self._feeder.feed(some)
                continue
            for line in some:
                await self._announce(line.value)

    async def _announce(self, value: bytes) -> None:
        """To every partition, each of which has come to the newest time before: so all reach back equally far.

        The oracle knows one watermark.
        """
        feeder = self._feeder
        now = [Record(None, encode_tick(feeder._newest_ms)), Record(None, value)]
        for number in range(await self._topics.partitions(CHAT_EVENTS.name)):
            await self._topics.write(CHAT_EVENTS.name, number, now)
            feeder._reached_ms[number] = max(feeder._reached_ms.get(number, 0), feeder._newest_ms)
        self._in_force = self._in_force.after(decode_policy(value))
        feeder._policy = self._in_force.policy
