"""Beginning again without anything: all topics of the product are deleted and made again, empty."""

import asyncio

from aiokafka.errors import for_code

from meter.kafka.admin import connected, create_topics
from meter.operations.cluster import OperationError, commit, ends_of, notify_groups, require_stopped
from meter.settings import Settings
from schemas.topics import AGGREGATOR_GROUP, METER_GROUP, PAYMENTS_GROUP, TOPICS, Topic

_GROUPS = (METER_GROUP, PAYMENTS_GROUP, AGGREGATOR_GROUP)
_UNKNOWN_TOPIC = 3
_DELETED_S = 60.0
"""How long the brokers may take to delete the topics."""


async def thrown_away(settings: Settings) -> list[tuple[Topic, int, int]]:
    """Return each topic that exists, its number of partitions, and how many offsets it holds.

    Raises OperationError while workers of either program run, and BrokerAwayError.
    """
    bootstrap = settings.kafka_bootstrap_servers
    await require_stopped(bootstrap, settings.kafka_session_timeout_s, (*_GROUPS, *await notify_groups(bootstrap)))
    async with connected(bootstrap) as admin:
        described = {each["topic"]: each for each in await admin.describe_topics()}
    found = []
    for topic in TOPICS:
        if topic.name in described:
            partitions = len(described[topic.name]["partitions"])
            ends = await ends_of(bootstrap, topic, partitions)
            found.append((topic, partitions, sum(each.end - each.beginning for each in ends.values())))
    return found


async def begin_anew(settings: Settings) -> None:
    """Delete all topics and make them again. May be repeated after it broke off. Raises the client's error."""
    bootstrap = settings.kafka_bootstrap_servers
    names = [topic.name for topic in TOPICS]
    async with connected(bootstrap) as admin:
        answer = await admin.delete_topics(names)
        for name, error in answer.topic_error_codes:
            if error not in (0, _UNKNOWN_TOPIC):
                raise for_code(error)(f"topic {name} could not be deleted")
        for _ in range(int(_DELETED_S / 0.2)):
            if not set(names) & set(await admin.list_topics()):
                break
            await asyncio.sleep(0.2)
        else:
            raise OperationError("the brokers still delete the topics: run `python -m meter begin-anew --yes` again")
    await create_topics(bootstrap, settings.kafka_partitions, settings.kafka_replication_factor)
    # Kafka forgets the offsets of a deleted topic; not every broker does.
    for group in _GROUPS:
        read = [topic.name for topic in TOPICS if topic.reader == group]
        offsets = {(name, number): 0 for name in read for number in range(settings.kafka_partitions)}
        await commit(bootstrap, group, offsets)
