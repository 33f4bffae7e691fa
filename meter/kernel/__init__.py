"""Sessionizing in C: see README.md here. Optional: where no C compiler was, the core does the same, slower."""

from importlib.util import find_spec


def is_built() -> bool:
    """Whether the compiled part is there."""
    return find_spec("meter.kernel._kernel") is not None
