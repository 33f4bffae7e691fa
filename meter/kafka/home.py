"""The home of a workspace: the partition that Kafka's default partitioner chooses for its id."""

from functools import lru_cache

from aiokafka.partitioner import murmur2


@lru_cache(maxsize=16_384)
def home_of(workspace_id: str, partitions: int) -> int:
    """Return the partition, of so many, that holds all of a workspace's records (docs/adr/0003)."""
    return int((murmur2(workspace_id.encode()) & 0x7FFFFFFF) % partitions)
