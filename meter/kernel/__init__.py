"""Sessionizing in C: see README.md here. Optional: without a C compiler the core does the same work, slower."""

from importlib.util import find_spec


def is_built() -> bool:
    """Return whether the compiled module is installed."""
    return find_spec("meter.kernel._kernel") is not None
