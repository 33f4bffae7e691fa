"""What the figures were measured on, as far as the system tells."""

import os
import platform
from pathlib import Path

import msgspec

from tests.bench.measured import MIB


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """A machine, in the words that a reader of the figures needs."""

    cores: int
    cpu: str
    memory_mib: int
    system: str
    python: str
    load: float
    """Of the last minute, before the bench began: what others take of the cores is not ours to measure."""


def this_machine() -> Machine:
    """The one this runs on."""
    return Machine(
        cores=os.cpu_count() or 0,
        cpu=_first("/proc/cpuinfo", "model name"),
        memory_mib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MIB,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        load=round(os.getloadavg()[0], 2),
    )


def _first(file: str, name: str) -> str:
    lines = Path(file).read_text("utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "unknown")
