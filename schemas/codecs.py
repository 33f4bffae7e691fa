"""The codecs of compressed record batches, and a check that this installation can read all of them."""

from importlib import import_module
from typing import Final

PACKAGE: Final = "cramjam"
"""The package with which aiokafka decodes snappy, lz4 and zstd. gzip is in Python's standard library."""


class CodecsMissingError(Exception):
    """The installation cannot read every codec; the message says which ones, and what to do."""


def require_codecs() -> None:
    """Raise CodecsMissingError unless batches in all of Kafka's codecs can be read. Called before a worker reads.

    Without this check a worker starts, and ends at the first batch in a codec that it cannot read, after each restart.
    """
    try:
        import_module(PACKAGE)
    except ImportError as error:
        raise CodecsMissingError(
            f"cannot read batches compressed with snappy, lz4, zstd: the package {PACKAGE} is missing; "
            "install the product again"
        ) from error
