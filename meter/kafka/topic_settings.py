"""Whether the topics of a cluster have the settings that exactness relies on, and setting those that differ.

`schemas/topics.py` says which settings each topic gets when `python -m meter topics` creates it. A topic that
another client created, or changed since, may lose records, refuse large ones, or keep the clock of a runtime.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

from meter.kafka.requests import SetSettings
from schemas.topics import ACCOUNT_COMMANDS, CHAT_EVENTS, EVENT_COUNTS, TOPICS, Topic

_SHORT_IS_A_CHOICE: Final = frozenset((ACCOUNT_COMMANDS.name, CHAT_EVENTS.name, EVENT_COUNTS.name))
"""Topics that may keep their records for less time than ours: what is deleted was read long before, as a rule."""

_UNLIMITED: Final = "-1"
_RETENTION: Final = ("retention.ms", "retention.bytes")
_AT_LEAST: Final = ("max.message.bytes", "min.compaction.lag.ms")
_WHY: Final = {
    "message.timestamp.type": "the clocks of others would decide what is refused",
    "max.message.bytes": "a record of ours could be refused, which ends the workers",
    "cleanup.policy": "records that are still needed would be deleted",
    "retention.ms": "records that are still needed would be deleted",
    "retention.bytes": "records that are still needed would be deleted",
    "min.compaction.lag.ms": "state that a superseded worker wrote could replace newer state",
    "unclean.leader.election.enable": "acknowledged records could be lost",
}


class Difference(NamedTuple):
    """A setting of a topic that is not as it should be. `breaks` is set where figures could become wrong."""

    topic: str
    setting: str
    found: str
    wanted: str
    breaks: bool

    @property
    def sentence(self) -> str:
        """The difference and what it does, without a period."""
        why = _WHY[self.setting]
        return f"{self.topic} has {self.setting}={self.found} and should have {self.wanted}: {why}"


class Settings(NamedTuple):
    """The answer of a cluster: the differences, and why it did not answer, "" if it did."""

    differences: list[Difference]
    unanswered: str = ""


async def read_settings(admin: AIOKafkaAdminClient) -> Settings:
    """Compare the settings of all topics. A cluster that does not let us read them is no error."""
    found: list[Difference] = []
    try:
        asked = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in TOPICS]
        for answer in await admin.describe_configs(asked):
            for error, _, _, name, entries in (tuple(each)[:5] for each in answer.resources):
                if error:
                    return Settings([], f"{for_code(error).__name__} for {name}")
                topic = next(topic for topic in TOPICS if topic.name == name)
                found += differences(topic, {entry[0]: entry[1] for entry in entries})
    except (KafkaError, NotImplementedError) as error:
        return Settings([], type(error).__name__)
    return Settings(found)


def differences(topic: Topic, found: Mapping[str, str | None]) -> list[Difference]:
    """Return how the settings `found` of a topic differ from ours. A setting that is not in `found` is not compared."""
    wanted = {"unclean.leader.election.enable": "false", "retention.bytes": _UNLIMITED, **topic.config}
    return [
        Difference(topic.name, setting, value, wanted[setting], breaks=_breaks(topic, setting))
        for setting in _WHY
        if (value := found.get(setting)) is not None
        and setting in wanted
        and not _is_enough(setting, value, wanted[setting])
    ]


def _is_enough(setting: str, found: str, wanted: str) -> bool:
    if setting in _RETENTION:
        return found == _UNLIMITED or (wanted != _UNLIMITED and int(found) >= int(wanted))
    if setting in _AT_LEAST:
        return int(found) >= int(wanted)
    return found == wanted


def _breaks(topic: Topic, setting: str) -> bool:
    if setting in _RETENTION:
        return topic.name not in _SHORT_IS_A_CHOICE
    return setting != "unclean.leader.election.enable"


async def repair(admin: AIOKafkaAdminClient, differing: Iterable[Difference]) -> None:
    """Set all settings that differ to ours. Raises the client's error if the cluster refuses one."""
    wanted: dict[str, dict[str, str]] = {}
    for each in differing:
        wanted.setdefault(each.topic, {})[each.setting] = each.wanted
    if wanted:
        answer = await admin._send_to_controller(SetSettings(wanted))
        for error, message, _, topic in answer.responses:
            if error:
                raise for_code(error)(f"the settings of {topic} could not be changed: {message}")
