"""Two requests that the client lacks: the ids of topics, and setting some settings of a topic without the others."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any, Self

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String

from schemas.topic_lives import METADATA_KEY, METADATA_VERSION, Cluster, metadata_request, read_metadata


class _LivesAnswer(Response):
    API_KEY = METADATA_KEY
    API_VERSION = METADATA_VERSION
    SCHEMA = Schema()
    cluster: Cluster

    @classmethod
    def decode(cls, data: BytesIO | bytes) -> Self:
        answer = cls()
        answer.cluster = read_metadata(data if isinstance(data, bytes) else data.read())
        return answer


class _LivesStruct(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = METADATA_KEY
    API_VERSION = METADATA_VERSION
    RESPONSE_TYPE = _LivesAnswer
    SCHEMA = Schema()
    body: bytes

    def encode(self) -> bytes:
        return self.body


class LivesRequest(Request[_LivesStruct]):
    """Asks for the lives of topics. The answer has `cluster`. A broker older than Kafka 2.8 cannot answer it."""

    API_KEY = METADATA_KEY

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def build(self, request_struct_class: type[_LivesStruct]) -> _LivesStruct:
        """Return the request as it is sent. The client calls it."""
        request = request_struct_class()
        request.body = metadata_request(self._names)
        return request


class _SettingsAnswer(Response):
    API_KEY = 44
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "responses",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
            ),
        ),
    )


class _SettingsStruct(RequestStruct):
    API_KEY = 44
    API_VERSION = 0
    RESPONSE_TYPE = _SettingsAnswer
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                ("configs", Array(("name", String("utf-8")), ("operation", Int8), ("value", String("utf-8")))),
            ),
        ),
        ("validate_only", Boolean),
    )


_TOPIC = 2
_SET = 0


class SetSettingsRequest(Request[_SettingsStruct]):
    """Sets the given settings of topics and leaves their others. The answer has `responses`, one a topic."""

    API_KEY = 44

    def __init__(self, settings: Mapping[str, Mapping[str, str]]) -> None:
        self._settings = settings

    def build(self, request_struct_class: type[_SettingsStruct]) -> _SettingsStruct:
        """Return the request as it is sent. The client calls it."""
        resources: list[Any] = [
            (_TOPIC, topic, [(name, _SET, value) for name, value in wanted.items()])
            for topic, wanted in self._settings.items()
        ]
        return request_struct_class(resources, False)
