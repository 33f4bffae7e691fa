"""Creating the topics of `schemas/topics.py`, and checking that they exist."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, for_code

from schemas.topics import TOPICS, Topic, missing_topics, no_broker

_ALREADY_EXISTS: Final = 36


class BrokerAwayError(Exception):
    """No broker answers. The message names the address and says what to do."""


class TopicsMissingError(Exception):
    """Topics have not been created. The message names them and says how to create them."""


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        yield admin
    except KafkaConnectionError as error:
        raise broker_away(bootstrap) from error
    finally:
        await admin.close()


def broker_away(bootstrap: str) -> BrokerAwayError:
    """Return the error for a broker at `bootstrap` that does not answer."""
    return BrokerAwayError(no_broker(bootstrap))


async def create_topics(bootstrap: str, partitions: int, replication: int) -> list[tuple[Topic, bool]]:
    """Create the missing topics, with this number of partitions and copies. Existing ones are left as they are.

    Returns each topic of the table, and whether it was created now. Raises BrokerAwayError, or the client's error if
    the broker refuses to create a topic.
    """
    async with _admin(bootstrap) as admin:
        wanted = [NewTopic(topic.name, partitions, replication, topic_configs=topic.config) for topic in TOPICS]
        response = await admin.create_topics(wanted)
    codes = {error[0]: error[1] for error in response.topic_errors}
    for name, code in codes.items():
        if code not in (0, _ALREADY_EXISTS):
            raise for_code(code)(f"topic {name} could not be created")
    return [(topic, codes[topic.name] == 0) for topic in TOPICS]


async def require_topics(bootstrap: str) -> None:
    """Check that all topics exist. Raises BrokerAwayError or TopicsMissingError."""
    async with _admin(bootstrap) as admin:
        missing = missing_topics(TOPICS, await admin.list_topics())
    if missing:
        raise TopicsMissingError(missing)
