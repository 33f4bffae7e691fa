"""The choice of a worker's engine, by METER_KERNEL and METER_SPILL_DIR."""

from functools import partial
from pathlib import Path
from typing import Final

from meter.kernel import is_built
from meter.sessionizer.engine import MakeEngine
from meter.sessionizer.python_engine import CoreEngine
from meter.sessionizer.spill.directory import reserve_directory
from meter.settings import KernelUse, Settings, spill_unusable

PYTHON_COST_RATIO: Final = 27
"""How many times the processor time of the kernel the core in Python takes for an event (docs/performance.md)."""


def engine_by(use: KernelUse) -> MakeEngine:
    """Return the kernel's engine if the kernel is built and `use` is not "off", else that in Python.

    "require" is the same as "auto" here: the settings are refused if it is set and the kernel is not built.
    """
    if use == "off" or not is_built():
        return CoreEngine
    from meter.sessionizer.kernel_engine import KernelEngine  # Cannot be imported unless it is built.

    return KernelEngine


def slow_engine_notice(settings: Settings) -> str | None:
    """Return a sentence for operators if the worker sessionizes in Python only because the kernel is not built.

    None if the kernel is built, if METER_KERNEL switches it off, or if the worker does not sessionize.
    """
    if is_built() or settings.meter_kernel == "off" or "sessionize" not in settings.stages():
        return None
    return (
        "notice: the C kernel is not built, so sessionizing runs in Python and takes about "
        f"{PYTHON_COST_RATIO} times the processor time, with the same results. Install a C compiler and the product "
        "once more, or set METER_KERNEL=off to start without this notice."
    )


def engine_of(settings: Settings) -> MakeEngine:
    """Return the engine that the settings ask for. Called once, when the worker starts.

    With METER_SPILL_DIR, reserves a directory there for as long as this process runs. Raises SettingsError if that
    fails.
    """
    if not settings.meter_spill_dir:
        return engine_by(settings.meter_kernel)
    from meter.sessionizer.spill.engine import SpillingEngine  # Cannot be imported unless RocksDB is installed.

    try:
        directory = reserve_directory(Path(settings.meter_spill_dir))
    except OSError as error:
        raise spill_unusable(settings.meter_spill_dir, error.strerror or str(error)) from None
    return partial(SpillingEngine, directory=directory, above_bytes=int(settings.meter_spill_above_mb * 2**20))
