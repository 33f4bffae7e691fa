"""Kafka clients that bot runtimes write with, each told to compress its batches."""

import asyncio
import importlib.util
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from aiokafka import AIOKafkaProducer

from tests.kafka.jars import install_jars
from tests.kafka.local_kafka import why_unavailable

CODECS: Final = ("none", "gzip", "snappy", "lz4", "zstd")


class Sent(NamedTuple):
    """A record to write. Neither key nor value may hold a tab or a line's end."""

    topic: str
    codec: str
    key: bytes
    value: bytes


Produce = Callable[[str, Sequence[Sent]], None]
"""Writes records to a broker, those of a codec in order and in few batches, and returns when the broker has all."""

LINGER_MS: Final = 200
FLUSH_S: Final = 60
JAVA_S: Final = 120

_JAVA_SOURCE: Final = Path(__file__).with_name("CompressedProducer.java")


def by_aiokafka(bootstrap: str, sent: Sequence[Sent]) -> None:
    """The client in Python that the product uses too."""

    async def produce() -> None:
        for codec, records in _by_codec(sent).items():
            compression = None if codec == "none" else codec
            async with AIOKafkaProducer(
                bootstrap_servers=bootstrap, compression_type=compression, linger_ms=LINGER_MS
            ) as producer:
                for delivery in [await producer.send(each.topic, each.value, each.key) for each in records]:
                    await delivery

    asyncio.run(produce())


def by_confluent(bootstrap: str, sent: Sequence[Sent]) -> None:
    """confluent-kafka, on librdkafka. Keys go where Kafka's other clients put them."""
    from confluent_kafka import Producer

    settings = {"bootstrap.servers": bootstrap, "linger.ms": LINGER_MS, "partitioner": "murmur2_random"}
    failures: list[object] = []
    for codec, records in _by_codec(sent).items():
        producer = Producer(settings | {"compression.type": codec})
        for each in records:
            producer.produce(
                each.topic, each.value, each.key, on_delivery=lambda error, _: failures.append(error) if error else None
            )
        assert producer.flush(FLUSH_S) == 0
    assert failures == []


def by_java(bootstrap: str, sent: Sequence[Sent]) -> None:
    """Kafka's own client, from its published jars."""
    subprocess.run(
        ["java", "-cp", f"{install_jars()}/*", str(_JAVA_SOURCE), bootstrap],
        input=b"".join(
            b"\t".join((each.topic.encode(), each.codec.encode(), each.key, each.value)) + b"\n" for each in sent
        ),
        timeout=JAVA_S,
        check=True,
    )


def _by_codec(sent: Sequence[Sent]) -> dict[str, list[Sent]]:
    return {codec: [each for each in sent if each.codec == codec] for codec in CODECS}


CLIENTS: Final[dict[str, Produce]] = {"aiokafka": by_aiokafka, "confluent-kafka": by_confluent, "java": by_java}


def why_no_client(name: str) -> str | None:
    """What this machine lacks to run a client, as a reason to skip with; None if it can."""
    if name == "confluent-kafka" and importlib.util.find_spec("confluent_kafka") is None:
        return "the package confluent-kafka is not installed"
    return _why_no_java() if name == "java" else None


def _why_no_java() -> str | None:
    if reason := why_unavailable():
        return f"no Java client of Kafka: {reason}"
    modules = subprocess.run(["java", "--list-modules"], capture_output=True, text=True, timeout=30, check=False).stdout
    if shutil.which("java") and not re.search(r"^jdk\.compiler\b", modules, re.MULTILINE):
        return "no Java client of Kafka: this Java has no compiler"
    return None
