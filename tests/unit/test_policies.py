"""The policy of a group: which version counts, who may begin one, and which worker is refused."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from click.testing import CliRunner
from msgspec import structs

from meter.cli.main import main
from meter.core.policy import Policy, PolicyInForce
from meter.kafka.admin import create_topics
from meter.kafka.policies import PolicyError, announce, begun_policies, policy_in_force, read_policies, set_policy
from meter.kafka.records import Record
from meter.kafka.topics import KafkaTopics
from meter.local.broker import EmbeddedBroker
from meter.settings import load, require_agreement
from schemas.environment import SettingsError
from schemas.instants import HOUR_MS
from schemas.policy import decode_policy
from schemas.topics import CHAT_EVENTS, POLICIES

PARTITIONS = 3


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedBroker(tmp_path_factory.mktemp("broker") / "broker.log") as embedded:
        asyncio.run(create_topics(embedded.bootstrap, PARTITIONS, 1))
        yield embedded.bootstrap


@pytest.fixture
async def topics(broker: str) -> AsyncIterator[KafkaTopics]:
    topics = KafkaTopics(broker, idempotent=False)
    await topics.start()
    yield topics
    await topics.stop()


def hours(number: int, version: int = 1) -> PolicyInForce:
    """A policy that differs from others by its late horizon."""
    return PolicyInForce(policy=Policy(horizon_ms=number * HOUR_MS), version=version)


async def test_all_who_begin_a_policy_at_once_have_the_same(broker: str, topics: KafkaTopics) -> None:
    """Workers with different settings that start together: the first in the log counts, and each reads that one."""
    assert await policy_in_force(broker, Policy(horizon_ms=5)) == Policy(horizon_ms=5)
    found = await asyncio.gather(*(begun_policies(topics, broker, hours(number).policy) for number in (24, 72, 48)))
    assert found[0] == found[1] == found[2]
    assert [version.in_force.version for version in found[0]] == [1]
    again = await begun_policies(topics, broker, hours(1).policy)
    assert again == found[0]


async def test_of_two_changes_at_once_one_is_refused(broker: str, topics: KafkaTopics) -> None:
    """Each version has one meaning, also if the topic holds other records."""
    (first,) = await begun_policies(topics, broker, hours(24).policy)

    def keyed(horizon_h: int, version: int = 1) -> PolicyInForce:
        wanted = hours(horizon_h, version)
        return structs.replace(wanted, policy=structs.replace(wanted.policy, seal_key=first.in_force.policy.seal_key))

    await topics.write_one(POLICIES.name, 0, Record(None, b"no policy"))
    await set_policy(topics, broker, keyed(72, version=2))
    with pytest.raises(PolicyError, match="python -m meter policy"):
        await set_policy(topics, broker, keyed(48, version=2))
    await set_policy(topics, broker, keyed(12, version=3))
    assert [version.in_force for version in await read_policies(broker)] == [keyed(24), keyed(72, 2), keyed(12, 3)]
    assert len(first.in_force.policy.seal_key) == 64


async def test_a_version_is_announced_to_every_partition(topics: KafkaTopics) -> None:
    """Each copy at the offset that is returned, and the same again if it is repeated."""
    for expected in (0, 1):
        offsets = await announce(topics, hours(72, version=2))
        assert offsets == dict.fromkeys(range(PARTITIONS), expected)
        for partition, offset in offsets.items():
            async for records in topics.read(CHAT_EVENTS.name, partition, offset, offset):
                assert hours(24).after(decode_policy(records[0].value)) == hours(72, 2)


def test_the_command_changes_only_what_is_named(broker: str) -> None:
    """It shows each value before and after; the same again is no new version."""
    env = {"KAFKA_BOOTSTRAP_SERVERS": broker, "KAFKA_IDEMPOTENT": "false"}

    def said(*words: str) -> str:
        done = CliRunner().invoke(main, ["policy", *words], env=env, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    assert "policy version 1" in said()
    changed = said("set", "--late-horizon-h", "72", "--debit-order", "paid_first")
    assert changed.splitlines()[1:] == ["  late horizon: 24 h -> 72 h", "  debit order: free_first -> paid_first"]
    assert "nothing changes: policy version 2" in said("set", "--late-horizon-h", "72")
    now = decode_policy(said("--json").encode())
    assert hours(24).after(now).policy == Policy(horizon_ms=72 * HOUR_MS, debit_order="paid_first")


def test_a_worker_whose_variables_contradict_the_policy_is_refused() -> None:
    """One sentence: what differs, from what, and the command that changes it. Written otherwise is not different."""
    given = {"METER_LATE_HORIZON_H": "72", "METER_DEBIT_ORDER": "paid_first", "METER_UNKNOWN_WORKSPACE": "provision"}
    with pytest.raises(SettingsError) as refused:
        require_agreement(load(given), hours(24, version=3), given)
    assert str(refused.value) == (
        "METER_LATE_HORIZON_H=72 and METER_DEBIT_ORDER=paid_first contradict the policy in force, version 3, which has "
        "24 and free_first: run `python -m meter policy set --late-horizon-h 72 --debit-order paid_first` to change "
        "the policy, or unset METER_LATE_HORIZON_H and METER_DEBIT_ORDER"
    )
    same = {"METER_LATE_HORIZON_H": "24.000", "METER_DEBIT_ORDER": "free_first"}
    require_agreement(load(same), hours(24), same)


def test_a_variable_that_is_not_set_claims_nothing() -> None:
    """The group's policy counts, and not the defaults."""
    for nothing in ({}, {"METER_LATE_HORIZON_H": ""}):
        require_agreement(load(nothing), hours(72, version=2), nothing)
