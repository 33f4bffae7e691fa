"""Which keys of records are kept in memory with their partition: a bounded number of bytes of them."""

import pytest
from aiokafka.partitioner import DefaultPartitioner

from meter.kafka import topics
from meter.kafka.records import Record
from meter.kafka.topics import KafkaTopics

EVERY = list(range(8))


class Topics(KafkaTopics):
    """Eight partitions, and what is appended to each, without a broker."""

    def __init__(self) -> None:
        super().__init__("nowhere:1", idempotent=False)
        self._partitions = {"t": len(EVERY)}
        self.written: list[tuple[int, bytes | None]] = []

    async def append(self, topic: str, partition: int, records: object) -> list[object]:  # type: ignore[override]
        assert topic == "t"
        assert isinstance(records, list)
        self.written += [(partition, each.key) for each in records]
        return []

    @property
    def kept_bytes(self) -> int:
        return sum(len(key) + topics.KEY_BYTES for key in self._partition_of["t"])


async def test_keys_that_are_kept_are_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many keys refused records have. Each goes where Kafka's partitioner puts it, kept or not."""
    monkeypatch.setattr(topics, "KEYS_KNOWN_BYTES", 20_000)
    found = Topics()
    for number in range(500):
        key = str(number).encode() * 40
        await found.append_keyed("t", [Record(key, b"v"), Record(key, b"v")])
        assert found.kept_bytes <= 20_000
    assert found.kept_bytes > 1_000
    assert found.written == [(int(DefaultPartitioner()(key, EVERY, EVERY)), key) for _, key in found.written if key]


async def test_a_large_key_is_not_kept_and_always_goes_to_one_partition() -> None:
    """1,000 keys of 1 MiB would take 1 GiB. A workspace's id is never that long."""
    found = Topics()
    large = [bytes([65 + number]) * 2**20 for number in range(20)]
    await found.append_keyed("t", [Record(key, b"v") for key in large * 2])
    assert found.kept_bytes == 0
    assert len({key for _, key in found.written}) == len({(at, key) for at, key in found.written}) == len(large)
    assert len({at for at, _ in found.written}) > 1
