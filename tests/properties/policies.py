"""Policies among the lines of a feed: each is announced at its place, as `meter policy set` announces it."""

from collections.abc import Sequence
from itertools import groupby

from meter.core.policy import Policy, PolicyInForce
from meter.ingest.feed_files import Line
from meter.ingest.feeder import Feeder
from meter.kafka.records import Record
from meter.stage.ports import Topics
from schemas.events import encode_tick
from schemas.policy import decode_policy, encode_policy
from schemas.topics import CHAT_EVENTS


def policy_line(version: int, policy: Policy) -> bytes:
    """A version of the policy as a line of a feed."""
    return encode_policy(PolicyInForce(policy=policy, version=version).record())


def is_policy(line: Line) -> bool:
    """Whether a line of a feed is to be announced, and not fed."""
    return b'"meter.policy"' in line.value


async def feed(feeder: Feeder, topics: Topics, lines: Sequence[Line]) -> None:
    """Feed the lines, and announce each policy between those before it and those after it."""
    for announced, some in groupby(lines, is_policy):
        if not announced:
            await feeder.feed(some)
            continue
        for line in some:
            await _announce(feeder, topics, line.value)


async def _announce(feeder: Feeder, topics: Topics, value: bytes) -> None:
    """To every partition, each of which has come to the newest time before: so all reach back equally far.

    The oracle knows one watermark.
    """
    now = [Record(None, encode_tick(feeder._newest_ms)), Record(None, value)]
    for number in range(await topics.partitions(CHAT_EVENTS.name)):
        await topics.write(CHAT_EVENTS.name, number, now)
        feeder._reached_ms[number] = max(feeder._reached_ms.get(number, 0), feeder._newest_ms)
    feeder._policy = PolicyInForce(policy=feeder._policy).after(decode_policy(value)).policy
