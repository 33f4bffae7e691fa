"""Creating the topics of `schemas/topics.py`, and checking that they exist."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, for_code

from meter.kafka.identity import ask_identity
from meter.kafka.topic_settings import Difference, Settings, read_settings, repair
from schemas.topic_identity import TopicIdentity, uneven
from schemas.topics import TOPICS, Topic, missing_topics, no_broker

_ALREADY_EXISTS: Final = 36

KNOWN_S: Final = 10.0
"""Longest wait until brokers know a topic that was created."""


class BrokerAwayError(Exception):
    """No broker answers. The message names the address and says what to do."""


class TopicsMissingError(Exception):
    """Topics have not been created. The message names them and says how to create them."""


@asynccontextmanager
async def connected(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """A connected client for administration. Raises BrokerAwayError."""
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
    async with connected(bootstrap) as admin:
        wanted = [NewTopic(topic.name, partitions, replication, topic_configs=topic.config) for topic in TOPICS]
        response = await admin.create_topics(wanted)
        await _known(admin)
    codes = {error[0]: error[1] for error in response.topic_errors}
    for name, code in codes.items():
        if code not in (0, _ALREADY_EXISTS):
            raise for_code(code)(f"topic {name} could not be created")
    return [(topic, codes[topic.name] == 0) for topic in TOPICS]


async def _known(admin: AIOKafkaAdminClient) -> None:
    """Wait until the broker lists all topics, KNOWN_S at most: it answers a creation before it has learned of it."""
    for _ in range(200):
        if not missing_topics(TOPICS, await admin.list_topics()):
            return
        await asyncio.sleep(KNOWN_S / 200)


async def compare_topics(bootstrap: str, *, repairs: bool = False) -> "Compared":
    """Compare the topics with ours. With `repairs`, first set the settings that differ.

    Raises BrokerAwayError or TopicsMissingError, or the client's error if the cluster refuses a setting.
    """
    async with connected(bootstrap) as admin:
        missing = missing_topics(TOPICS, await admin.list_topics())
        if missing:
            raise TopicsMissingError(missing)
        settings, repaired = await read_settings(admin), list[Difference]()
        if repairs and settings.differences:
            repaired = settings.differences
            await repair(admin, repaired)
            settings = await read_settings(admin)
        identities = {topic.name: await ask_identity(admin._client, topic.name) for topic in TOPICS}
    return Compared(
        uneven({name: each.partitions for name, each in identities.items()}), settings, identities, repaired
    )


class Compared(NamedTuple):
    """How the topics are: why their numbers of partitions cannot be used if so, their settings, their identities."""

    uneven: str | None
    settings: Settings
    identities: dict[str, TopicIdentity]
    repaired: list[Difference]
    """What differed before it was repaired."""

    @property
    def refusal(self) -> str | None:
        """Why workers must not start, without a period; None if they may."""
        breaking = [each.sentence for each in self.settings.differences if each.breaks]
        if self.uneven or not breaking:
            return self.uneven
        more = f", and {len(breaking) - 1} settings more" if len(breaking) > 1 else ""
        return f"{breaking[0]}{more}: run `python -m meter topics --repair`"

    @property
    def warnings(self) -> list[str]:
        """The differences that an operator should know although workers may start."""
        unanswered = self.settings.unanswered
        warnings = [each.sentence for each in self.settings.differences if not each.breaks]
        if unanswered:
            warnings.append(
                f"the settings of the topics are not checked, the cluster does not tell them ({unanswered})"
            )
        return warnings


class TopicsDifferError(Exception):
    """Topics are not as exactness needs them. The message says what differs and what to do."""


async def require_fitting_topics(bootstrap: str) -> Compared:
    """Check all topics before a worker starts. Raises BrokerAwayError, TopicsMissingError or TopicsDifferError."""
    compared = await compare_topics(bootstrap)
    if compared.refusal:
        raise TopicsDifferError(compared.refusal)
    return compared


async def require_topics(bootstrap: str) -> None:
    """Check that all topics exist. Raises BrokerAwayError or TopicsMissingError."""
    async with connected(bootstrap) as admin:
        missing = missing_topics(TOPICS, await admin.list_topics())
    if missing:
        raise TopicsMissingError(missing)
