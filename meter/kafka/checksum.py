"""CRC-32C of Kafka's batches: the kernel's where it is built, else the client's own."""

try:
    from meter.kernel._kernel import crc32c  # A quarter of the time.
except ImportError:
    from aiokafka.record.util import calc_crc32c as crc32c  # type: ignore[no-redef]


checksum = crc32c
