"""CRC-32C, the checksum of Kafka batches: the kernel's function where it is built, else the client's."""

try:
    from meter.kernel._kernel import crc32c  # Takes a quarter of the time.
except ImportError:
    from aiokafka.record.util import calc_crc32c as crc32c  # type: ignore[no-redef]


checksum = crc32c
