"""State on disk, for workers that live in one process and end without a word."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from meter.kernel import is_built
from meter.sessionizer.engine import MakeEngine
from meter.settings import load
from tests.sessionizer_engines import core, spilling


def a_spilling_engine() -> MakeEngine:
    """One that lets go of all it may; the core where only that is to be used."""
    if load().meter_kernel == "off" or not is_built():
        return core
    return spilling(Path(_directory().name))


@cache
def _directory() -> TemporaryDirectory[str]:
    """It goes when the process does."""
    return TemporaryDirectory(prefix="meter-simulation-")
