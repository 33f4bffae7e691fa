"""The brokers the integration suite can run on here: the embedded one, and Apache Kafka where it is to be had."""

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from meter.local.broker import EmbeddedBroker
from tests.kafka import local_kafka
from tests.kafka.local_kafka import LocalKafka

EMBEDDED = "embedded"
KAFKA = "kafka"

_ADDRESS = "KAFKA_BOOTSTRAP_SERVERS"
_DOCKER_TIMEOUT_S = 5


@dataclass(frozen=True)
class Broker:
    """A running broker and what a test may ask of it."""

    name: str
    bootstrap: str
    idempotent: bool
    """Producers may use enable_idempotence=True."""
    restartable: bool
    """It can be stopped, killed and started by `local`, and keeps data and port."""
    local: LocalKafka | None = None
    """The handle of a restartable broker, else None."""


def available_brokers() -> list[str]:
    """The names running_broker takes on this machine; "embedded" is always the first."""
    return [EMBEDDED] if why_no_kafka() else [EMBEDDED, KAFKA]


def why_no_kafka() -> str | None:
    """Why "kafka" is not among the available brokers, as a reason to skip with; None if it is."""
    if _kafka_source() is not None:
        return None
    return f"no Apache Kafka: {local_kafka.why_unavailable()}; no Docker engine answers; {_ADDRESS} is not set"


@contextmanager
def running_broker(name: str, directory: Path) -> Iterator[Broker]:
    """A running broker for the length of a `with` block; `directory` takes its log and, if it keeps any, its data.

    Raises ValueError for a name that is not in available_brokers(), and what the broker's launcher raises.
    """
    if name == EMBEDDED:
        with EmbeddedBroker(directory / "embedded.log") as embedded:
            yield Broker(EMBEDDED, embedded.bootstrap, idempotent=False, restartable=False)
    elif name == KAFKA and (source := _kafka_source()) is not None:
        with _running_kafka(source, directory) as broker:
            yield broker
    else:
        raise ValueError(f"broker {name!r} is not one of {available_brokers()}")


_Source = Literal["jars", "docker", "address"]


@functools.cache
def _kafka_source() -> _Source | None:
    """Most controllable first: a Kafka of our own can be killed and restarted, another's can only be used."""
    if local_kafka.why_unavailable() is None:
        return "jars"
    if _docker_answers():
        return "docker"
    return "address" if os.environ.get(_ADDRESS) else None


@contextmanager
def _running_kafka(source: _Source, directory: Path) -> Iterator[Broker]:
    if source == "jars":
        with LocalKafka(directory / "kafka") as kafka:
            yield Broker(KAFKA, kafka.bootstrap, idempotent=True, restartable=True, local=kafka)
    elif source == "docker":
        with _kafka_in_docker() as bootstrap:
            yield Broker(KAFKA, bootstrap, idempotent=True, restartable=False)
    else:
        yield Broker(KAFKA, os.environ[_ADDRESS], idempotent=True, restartable=False)


@contextmanager
def _kafka_in_docker() -> Iterator[str]:
    # Imported here: few machines that run the suite come this far, and the others need not load it.
    from testcontainers.community.kafka import KafkaContainer

    container = KafkaContainer().with_kraft()
    for setting, value in {
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_NUM_PARTITIONS": "4",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
        "KAFKA_MESSAGE_MAX_BYTES": str(local_kafka.MAX_MESSAGE_BYTES),
        "KAFKA_REPLICA_FETCH_MAX_BYTES": str(local_kafka.MAX_MESSAGE_BYTES),
    }.items():
        container = container.with_env(setting, value)
    with container:
        yield container.get_bootstrap_server()


def _docker_answers() -> bool:
    import docker  # type: ignore[import-untyped]  # it ships no type information
    from docker.errors import DockerException  # type: ignore[import-untyped]

    try:
        engine = docker.from_env(timeout=_DOCKER_TIMEOUT_S)
    except DockerException:
        return False
    try:
        return bool(engine.ping())
    except (DockerException, OSError):
        return False
    finally:
        engine.close()
