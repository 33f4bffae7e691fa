"""State on disk, for workers that live in one process and end without a word."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from meter.kernel import is_built
from meter.sessionizer.engine import MakeEngine
from meter.settings import load
from tests.sessionizer_engines import spilling


def a_spilling_engine() -> MakeEngine | None:
    """One that lets go of all it may; None where only the core is to be used."""
    if load().meter_kernel == "off" or not is_built():
        return None
    return spilling(Path(_directory().name))


@cache
def _directory() -> TemporaryDirectory[str]:
    """It goes when the process does."""
    return TemporaryDirectory(prefix="meter-simulation-")
