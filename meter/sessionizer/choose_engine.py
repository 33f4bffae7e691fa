"""Which engine a worker sessionizes with: METER_KERNEL and METER_SPILL_DIR say."""

from functools import partial
from pathlib import Path

from meter.kernel import is_built
from meter.sessionizer.engine import MakeEngine
from meter.sessionizer.python_engine import CoreEngine
from meter.sessionizer.spill.directory import reserve_directory
from meter.settings import KernelUse, Settings, spill_unusable


def engine_by(use: KernelUse) -> MakeEngine:
    """The kernel where it is built, unless it is not to be used. Settings have refused to require one that is not."""
    if use == "off" or not is_built():
        return CoreEngine
    from meter.sessionizer.kernel_engine import KernelEngine  # Cannot be imported where it is not built.

    return KernelEngine


def engine_of(settings: Settings) -> MakeEngine:
    """The engine that the settings ask for. Raises SettingsError where its directory cannot be used."""
    if not settings.meter_spill_dir:
        return engine_by(settings.meter_kernel)
    from meter.sessionizer.spill.engine import SpillingEngine  # Cannot be imported where RocksDB is not installed.

    try:
        directory = reserve_directory(Path(settings.meter_spill_dir))
    except OSError as error:
        raise spill_unusable(settings.meter_spill_dir, error.strerror or str(error)) from None
    return partial(SpillingEngine, directory=directory, above_bytes=int(settings.meter_spill_above_mb * 2**20))
