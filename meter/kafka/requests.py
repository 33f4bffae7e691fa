"""The request that sets some settings of a topic and leaves its others, which the client lacks."""

from collections.abc import Mapping
from typing import Any, Final

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String

_KEY: Final = 44
_TOPIC: Final = 2
_SET: Final = 0


class _Answer(Response):
    API_KEY = _KEY
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


class _Question(RequestStruct):
    API_KEY = _KEY
    API_VERSION = 0
    RESPONSE_TYPE = _Answer
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


class SetSettings(Request[_Question]):
    """Sets the given settings of topics. The answer has `responses`, one a topic, each with its error first."""

    API_KEY = _KEY

    def __init__(self, settings: Mapping[str, Mapping[str, str]]) -> None:
        self._settings = settings

    def build(self, request_struct_class: type[_Question]) -> _Question:
        """Return the request as it is sent. The client calls it."""
        resources: list[Any] = [
            (_TOPIC, topic, [(name, _SET, value) for name, value in wanted.items()])
            for topic, wanted in self._settings.items()
        ]
        return request_struct_class(resources, False)
