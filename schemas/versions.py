"""Versions: an offset together with the generation of its topic, in one integer.

Offsets begin again at 0 when a topic is created again. So what is written as of an offset carries the generation in the
bits above it: everything of a later generation is newer than everything before. In generation 0, which most
installations never leave, a version is the offset.
"""

from typing import Final

GENERATION_BITS: Final = 48
"""An offset takes fewer bits: 2**48 records at a million a second are nine years."""


def version_of(generation: int, offset: int) -> int:
    """Return the version of `offset` in a generation."""
    return (generation << GENERATION_BITS) + offset


def offset_of(version: int) -> int:
    """Return the offset in a version."""
    return version & ((1 << GENERATION_BITS) - 1)
