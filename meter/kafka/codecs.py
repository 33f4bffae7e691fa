"""The codecs of compressed record batches, and a check that this installation can read all of them."""

from typing import Final

from aiokafka import codec

PACKAGE: Final = "cramjam"
"""The package that aiokafka decodes snappy, lz4 and zstd with. gzip is in Python's standard library."""


class CodecsMissingError(Exception):
    """The installation cannot read every codec; the message says which ones, and what to do."""


def require_codecs() -> None:
    """Raise CodecsMissingError unless batches in all of Kafka's codecs can be read. Called before a worker reads.

    Without this check a worker starts, and ends at the first batch in a codec that it cannot read, after each restart.
    """
    available = {"snappy": codec.has_snappy(), "lz4": codec.has_lz4(), "zstd": codec.has_zstd()}
    missing = [name for name, has_library in available.items() if not has_library]
    if missing:
        raise CodecsMissingError(
            f"cannot read batches compressed with {', '.join(missing)}: the package {PACKAGE} is missing; "
            "install the product again"
        )
