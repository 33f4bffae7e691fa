"""The topic `policies`: every version of the policy, in order; and copies of a version for the stages.

All versions are in partition 0. A record counts if its version is the one after the last that counted. So if two
processes write the same version at once, the first in the log counts for both, and the other process reads that.
"""

from secrets import token_hex
from typing import NamedTuple

import msgspec

from meter.core.policy import Policy, PolicyInForce
from meter.kafka.reader import records
from meter.kafka.records import Record
from meter.kafka.topics import KafkaTopics
from schemas.policy import FIRST_VERSION, PolicyRecord, decode_policy, encode_policy
from schemas.topics import CHAT_EVENTS, POLICIES

_PARTITION = 0


class PolicyError(Exception):
    """The policy could not be set. The message says why and what to do."""


class Version(NamedTuple):
    """One version of the policy, and when Kafka received it, in milliseconds since 1970."""

    in_force: PolicyInForce
    set_ms: int


async def read_policies(bootstrap: str) -> list[Version]:
    """Return all versions, the first one first; none if no process has begun a policy yet.

    Raises KafkaConnectionError where no broker answers.
    """
    found: list[Version] = []
    async for record in records(bootstrap, POLICIES, {_PARTITION: 0}):
        policy = _readable(record.value)
        if policy is not None and policy.version == FIRST_VERSION + len(found):
            begun = Policy(seal_key=policy.seal_key)
            before = found[-1].in_force if found else PolicyInForce(policy=begun, version=FIRST_VERSION - 1)
            found.append(Version(before.after(policy), record.timestamp))
    return found


def _readable(value: bytes | None) -> PolicyRecord | None:
    try:
        return decode_policy(value or b"")
    except msgspec.MsgspecError:
        return None


async def policy_in_force(bootstrap: str, otherwise: Policy) -> Policy:
    """Return the newest version, or `otherwise` if no process has begun a policy yet. For commands that only ask."""
    found = await read_policies(bootstrap)
    return found[-1].in_force.policy if found else otherwise


async def begun_policies(topics: KafkaTopics, bootstrap: str, first: Policy) -> list[Version]:
    """Return all versions. If there is none, `first` becomes version 1, unless another process is faster.

    `topics` must be started.
    """
    found = await read_policies(bootstrap)
    if not found:
        await _write(topics, PolicyInForce(policy=msgspec.structs.replace(first, seal_key=token_hex(32))))
        found = await read_policies(bootstrap)
    return found


async def set_policy(topics: KafkaTopics, bootstrap: str, wanted: PolicyInForce) -> None:
    """Write the version after the last. Raises PolicyError if another process has written that version first."""
    await _write(topics, wanted)
    found = await read_policies(bootstrap)
    if wanted not in (version.in_force for version in found):
        raise PolicyError(
            f"another process has set version {wanted.version} of the policy at the same moment: "
            "look at it with `python -m meter policy`, then set yours again"
        )


async def _write(topics: KafkaTopics, policy: PolicyInForce) -> None:
    record = policy.record()
    if policy.version == FIRST_VERSION:
        record = msgspec.structs.replace(record, seal_key=policy.policy.seal_key)
    await topics.write_one(POLICIES.name, _PARTITION, Record(None, encode_policy(record)))


async def announce(topics: KafkaTopics, policy: PolicyInForce) -> dict[int, int]:
    """Write a version to every partition of chat-events. Safe to repeat. Returns the offset in each partition."""
    record = Record(None, encode_policy(policy.record()))
    partitions = range(await topics.partitions(CHAT_EVENTS.name))
    return {number: await topics.write_one(CHAT_EVENTS.name, number, record) for number in partitions}
