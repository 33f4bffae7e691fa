"""Asking a broker where the records of a leader epoch end.

Kafka counts the leaders of a partition, and each batch has the number of the leader that took it: its epoch. Where a
broker without the newest records becomes leader, the log goes on under a higher epoch at a lower offset. So the end of
the epoch of the last record that was read shows whether the log still holds that record, also after new records have
been written beyond its offset.
"""

import asyncio
from typing import Any, ClassVar, Final

from aiokafka import TopicPartition
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError, for_code
from aiokafka.protocol import types as wire
from aiokafka.protocol.api import Request, RequestStruct, Response

UNKNOWN: Final = -1
"""The epoch of a batch, and the answer of a broker, where epochs are not known."""

_KEY: Final = 23
_VERSION: Final = 3
_CONSUMER: Final = -1
_TRIES: Final = 20
_PAUSE_S: Final = 0.25
"""The pause between two tries. Meanwhile another leader may be elected."""


class _Answer(Response):  # type: ignore[misc] # aiokafka has no types.
    API_KEY = _KEY
    API_VERSION = _VERSION
    SCHEMA = wire.Schema(
        ("throttle_time_ms", wire.Int32),
        (
            "topics",
            wire.Array(
                ("topic", wire.String("utf-8")),
                (
                    "partitions",
                    wire.Array(
                        ("error_code", wire.Int16),
                        ("partition", wire.Int32),
                        ("leader_epoch", wire.Int32),
                        ("end_offset", wire.Int64),
                    ),
                ),
            ),
        ),
    )


class _Question(RequestStruct):  # type: ignore[misc]
    API_KEY = _KEY
    API_VERSION = _VERSION
    RESPONSE_TYPE = _Answer
    SCHEMA = wire.Schema(
        ("replica_id", wire.Int32),
        (
            "topics",
            wire.Array(
                ("topic", wire.String("utf-8")),
                (
                    "partitions",
                    wire.Array(
                        ("partition", wire.Int32), ("current_leader_epoch", wire.Int32), ("leader_epoch", wire.Int32)
                    ),
                ),
            ),
        ),
    )


class _EndOfEpoch(Request[_Question]):  # type: ignore[misc]
    API_KEY: ClassVar[int] = _KEY

    def __init__(self, topic: str, partition: int, epoch: int) -> None:
        self._topic, self._partition, self._epoch = topic, partition, epoch

    def build(self, request_struct_class: type[_Question]) -> _Question:
        return request_struct_class(_CONSUMER, [(self._topic, [(self._partition, UNKNOWN, self._epoch)])])


async def ask_end_of_epoch(client: Any, topic: str, partition: int, epoch: int) -> int | None:
    """Return the offset after the last record that a partition holds of this epoch or of an earlier one.

    `client` is a started AIOKafkaClient. None if the epoch is UNKNOWN, if the broker does not know it, or if it has no
    such request, like the embedded one. Raises KafkaError if no leader of the partition answers.
    """
    if epoch == UNKNOWN:
        return None
    await client._wait_on_metadata(topic)
    error: KafkaError | None = None
    for _ in range(_TRIES):
        leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
        try:
            if leader is not None and leader >= 0:
                return _end(await client.send(leader, _EndOfEpoch(topic, partition, epoch)))
        except (NotImplementedError, IncompatibleBrokerVersion):
            return None
        except KafkaError as failed:
            error = failed
        await asyncio.sleep(_PAUSE_S)
        await client.force_metadata_update()
    raise error or KafkaError(f"{topic}/{partition} has no leader")


def _end(answer: Any) -> int | None:
    (found,) = answer.to_object()["topics"][0]["partitions"]
    if found["error_code"]:
        error: type[KafkaError] = for_code(found["error_code"])
        raise error
    return None if UNKNOWN in (found["leader_epoch"], found["end_offset"]) else int(found["end_offset"])
