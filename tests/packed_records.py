"""Records as a list, whether a fold has them so or has them encoded already."""

from aiokafka.record.memory_records import MemoryRecords

from meter.kafka.records import Packed, PackedBatch, Record, Records


def listed(records: Records) -> list[Record]:
    """All of them, in the order of a topic that has one partition."""
    return [record for packed in records(1) for record in unpacked(packed)] if callable(records) else records


def unpacked(packed: Packed) -> list[Record]:
    """What a consumer would read of them: the client's own reading of the batch that they become."""
    fetched = MemoryRecords(PackedBatch(packed)._build())
    found: list[Record] = []
    while fetched.has_next():
        batch = fetched.next_batch()
        assert batch.validate_crc()
        records = list(batch)
        assert [each.offset for each in records] == list(range(packed.records_count))
        found += [Record(each.key, each.value, list(each.headers) or None) for each in records]
    return found
