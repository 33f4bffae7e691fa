"""The request for the ids of topics, which the client lacks. `schemas/topic_lives.py` writes and reads its bytes."""

from io import BytesIO
from typing import Self

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Schema

from schemas.topic_lives import METADATA_KEY, METADATA_VERSION, Cluster, metadata_request, read_metadata


class _Answer(Response):
    API_KEY = METADATA_KEY
    API_VERSION = METADATA_VERSION
    SCHEMA = Schema()
    cluster: Cluster

    @classmethod
    def decode(cls, data: BytesIO | bytes) -> Self:
        answer = cls()
        answer.cluster = read_metadata(data if isinstance(data, bytes) else data.read())
        return answer


class _Struct(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = METADATA_KEY
    API_VERSION = METADATA_VERSION
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema()
    body: bytes

    def encode(self) -> bytes:
        return self.body


class LivesRequest(Request[_Struct]):
    """Asks for the lives of topics. The answer has `cluster`. A broker older than Kafka 2.8 cannot answer it."""

    API_KEY = METADATA_KEY

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def build(self, request_struct_class: type[_Struct]) -> _Struct:
        """The request as it is sent. The client calls it."""
        request = request_struct_class()
        request.body = metadata_request(self._names)
        return request
