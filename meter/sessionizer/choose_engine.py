"""The choice of a worker's engine, by METER_KERNEL and METER_SPILL_DIR."""

from functools import partial
from pathlib import Path

from meter.kernel import is_built
from meter.sessionizer.engine import MakeEngine
from meter.sessionizer.python_engine import CoreEngine
from meter.sessionizer.spill.directory import reserve_directory
from meter.settings import KernelUse, Settings, spill_unusable


def engine_by(use: KernelUse) -> MakeEngine:
    """Return the kernel's engine if the kernel is built and `use` is not "off", else that in Python.

    "require" is the same as "auto" here: the settings are refused if it is set and the kernel is not built.
    """
    if use == "off" or not is_built():
        return CoreEngine
    from meter.sessionizer.kernel_engine import KernelEngine  # Cannot be imported unless it is built.

    return KernelEngine


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
