"""Which engine a worker sessionizes with: METER_KERNEL says."""

from meter.core_engine import CoreEngine
from meter.engine import KernelUse, MakeEngine
from meter.kernel import is_built
from meter.settings import load


def engine_by(use: KernelUse) -> MakeEngine:
    """The kernel where it is built, unless it is not to be used. Settings have refused to require one that is not."""
    if use == "off" or not is_built():
        return CoreEngine
    from meter.kernel.engine import KernelEngine  # Cannot be imported where it is not built.

    return KernelEngine


def chosen() -> MakeEngine:
    """The engine that the environment asks for. Raises SettingsError."""
    return engine_by(load().meter_kernel)
