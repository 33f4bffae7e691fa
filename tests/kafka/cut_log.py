"""Cutting off the end of a log while its broker is down, as an unclean leader election does to acknowledged records."""

from pathlib import Path

from meter.kafka.batches import placed


def cut_log(directory: Path, topic: str, partition: int, records_count: int) -> int:
    """Remove whole batches with at least `records_count` records from the end of a partition, and return its new end.

    `directory` is that of a LocalKafka that was killed. The partition has one segment. The broker makes its indexes
    again, and forgets of the epochs what is gone.
    """
    (log,) = directory.glob(f"data/{topic}-{partition}/*.log")
    data = log.read_bytes()
    batches = list(placed(data))
    end = batches[-1].last_offset + 1
    while end - batches[-1].base < records_count:
        batches.pop()
    cut = batches[-1]
    log.write_bytes(data[: cut.at])
    for other in log.parent.glob(f"{log.stem}.*index"):
        other.unlink()
    for snapshot in log.parent.glob("*.snapshot"):
        snapshot.unlink()
    return cut.base
