"""Asking a broker for the identity of a topic.

The client's own metadata request is too old to return topic ids, so a newer one is defined here. A broker that does not
know it is asked with the client's own, and the topic id stays unknown.
"""

from typing import Any, ClassVar, Final
from uuid import UUID

from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol import types as wire
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest

from schemas.topic_identity import TopicIdentity

_KEY: Final = 3
_VERSION: Final = 10
"""The first version of a metadata request that returns topic ids."""


class _Uuid(wire.AbstractType[bytes]):  # type: ignore[misc] # aiokafka has no types.
    """16 bytes."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: Any) -> bytes:
        return bytes(data.read(16))


_STRING: Final = wire.CompactString("utf-8")
_NUMBERS: Final = wire.CompactArray(wire.Int32)
_TAGS: Final = ("tags", wire.TaggedFields)
_PARTITION: Final = (
    ("error_code", wire.Int16),
    ("partition", wire.Int32),
    ("leader", wire.Int32),
    ("leader_epoch", wire.Int32),
    ("replicas", _NUMBERS),
    ("isr", _NUMBERS),
    ("offline_replicas", _NUMBERS),
    _TAGS,
)
_TOPIC: Final = (
    ("error_code", wire.Int16),
    ("topic", _STRING),
    ("topic_id", _Uuid),
    ("is_internal", wire.Boolean),
    ("partitions", wire.CompactArray(*_PARTITION)),
    ("authorized_operations", wire.Int32),
    _TAGS,
)
_BROKER: Final = (("node_id", wire.Int32), ("host", _STRING), ("port", wire.Int32), ("rack", _STRING), _TAGS)


class _Answer(Response):  # type: ignore[misc]
    API_KEY = _KEY
    API_VERSION = _VERSION
    SCHEMA = wire.Schema(
        ("throttle_time_ms", wire.Int32),
        ("brokers", wire.CompactArray(*_BROKER)),
        ("cluster_id", _STRING),
        ("controller_id", wire.Int32),
        ("topics", wire.CompactArray(*_TOPIC)),
        ("authorized_operations", wire.Int32),
        _TAGS,
    )


class _Question(RequestStruct):  # type: ignore[misc]
    API_KEY = _KEY
    API_VERSION = _VERSION
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _Answer
    SCHEMA = wire.Schema(
        ("topics", wire.CompactArray(("topic_id", _Uuid), ("name", _STRING), _TAGS)),
        ("allow_auto_topic_creation", wire.Boolean),
        ("include_cluster_authorized_operations", wire.Boolean),
        ("include_topic_authorized_operations", wire.Boolean),
        _TAGS,
    )


class _Identities(Request[_Question]):  # type: ignore[misc]
    API_KEY: ClassVar[int] = _KEY

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def build(self, request_struct_class: type[_Question]) -> _Question:
        return request_struct_class([(bytes(16), self._topic, {})], False, False, False, {})


async def ask_identity(client: Any, topic: str) -> TopicIdentity:
    """Return the identity of a topic. `client` is a started AIOKafkaClient: that of a producer, consumer or admin.

    Raises KafkaError if the broker does not answer or does not have the topic.
    """
    node = client.get_random_node()
    try:
        answer = await client.send(node, _Identities(topic))
    except NotImplementedError:
        answer = await client.send(node, MetadataRequest([topic], allow_auto_topic_creation=False))
    found = answer.to_object()
    described = found["topics"][0]
    if described["error_code"]:
        error: type[KafkaError] = for_code(described["error_code"])
        raise error(topic)
    topic_id = described.get("topic_id", bytes(16))
    named = str(UUID(bytes=topic_id)) if any(topic_id) else ""
    return TopicIdentity(found.get("cluster_id") or "", named, len(described["partitions"]))
