"""Configuration: environment variables, checked once at the start. What is wrong is refused with a sentence."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated, Final, Literal

import msgspec

from meter.core.policy import Policy
from meter.kernel import is_built
from schemas.environment import COMMON_ADVICE, CommonSettings, SettingsError, read, unusable
from schemas.instants import HOUR_MS

KernelUse = Literal["auto", "off", "require"]
Stage = Literal["sessionize", "charge"]
_STAGES: Final[tuple[Stage, ...]] = ("sessionize", "charge")


class Settings(CommonSettings, frozen=True, kw_only=True):
    """What both programs read, and the meter's own."""

    kafka_partitions: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 4
    """How many partitions `meter topics` gives each topic: the most workers that can share the work."""
    kafka_replication_factor: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1
    kafka_idempotent: bool = True
    """Off only for a broker that has no idempotent producer, such as the embedded one."""
    meter_stages: str = "sessionize,charge"
    """Which stages a worker runs, as `stages` reads it."""
    meter_checkpoint_ms: Annotated[int, msgspec.Meta(ge=10, le=600_000)] = 1_000
    """How often state is written. A crash replays at most this much."""
    meter_late_horizon_h: Annotated[float, msgspec.Meta(gt=0, le=24 * 365)] = 24.0
    meter_unknown_workspace: Literal["provision", "hold"] = "provision"
    meter_debit_order: Literal["free_first", "paid_first"] = "free_first"
    meter_kernel: KernelUse = "auto"
    """Whether chat events are sessionized by the compiled kernel: if it is built, never, or by nothing else."""
    meter_spill_dir: str = ""
    """Where a partition of chat events puts what it has no room for; without it, all is held in memory."""
    meter_spill_above_mb: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] = 256.0
    """What a partition may hold in memory before that, in MiB."""
    meter_log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"

    def stages(self) -> frozenset[Stage]:
        """The stages that a worker runs: one of them or both. Raises SettingsError."""
        named = {name.strip() for name in self.meter_stages.split(",")}
        if not named <= set(_STAGES):
            raise unusable(
                "METER_STAGES", self.meter_stages, "there is no such stage", f"Set it to {_ADVICE['METER_STAGES']}"
            )
        return frozenset(stage for stage in _STAGES if stage in named)

    def policy(self) -> Policy:
        """The rulings of DOMAIN as this deployment sets them."""
        return Policy(
            horizon_ms=int(self.meter_late_horizon_h * HOUR_MS),
            unknown_workspace=self.meter_unknown_workspace,
            debit_order=self.meter_debit_order,
        )


_ADVICE: Final = COMMON_ADVICE | {
    "KAFKA_PARTITIONS": "a whole number from 1 to 10000",
    "KAFKA_REPLICATION_FACTOR": "a whole number from 1 to 10",
    "KAFKA_IDEMPOTENT": "true, or to false for a broker that has no idempotent producer",
    "METER_STAGES": "sessionize, to charge, or to sessionize,charge for a worker that does both",
    "METER_CHECKPOINT_MS": "whole milliseconds from 10 to 600000",
    "METER_LATE_HORIZON_H": "hours above 0 and up to 8760",
    "METER_UNKNOWN_WORKSPACE": "provision or hold",
    "METER_DEBIT_ORDER": "free_first or paid_first",
    "METER_KERNEL": "auto, off or require",
    "METER_SPILL_DIR": "the absolute path of a directory on a local disk that the worker may write to",
    "METER_SPILL_ABOVE_MB": "mebibytes from 0 to 1000000",
    "METER_LOG_LEVEL": "DEBUG, INFO, WARNING or ERROR",
}


def load(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings that `environment` gives. Raises SettingsError."""
    settings = read(environment, Settings, _ADVICE)
    settings.stages()
    if settings.meter_kernel == "require" and not is_built():
        raise unusable(
            "METER_KERNEL",
            settings.meter_kernel,
            "the kernel is not built",
            "Install a C compiler and the product once more, or set METER_KERNEL=auto",
        )
    _check_spill(settings)
    return settings


def spill_unusable(directory: str, why: str, advice: str = "") -> SettingsError:
    """The error for METER_SPILL_DIR. Without `advice` it says what a directory has to be."""
    return unusable("METER_SPILL_DIR", directory, why, advice or f"Set it to {_ADVICE['METER_SPILL_DIR']}")


def _check_spill(settings: Settings) -> None:
    directory = settings.meter_spill_dir
    if not directory:
        return
    if settings.meter_kernel == "off" or not is_built():
        raise spill_unusable(
            directory,
            "only the compiled kernel can let go of state",
            "Build it and leave METER_KERNEL at auto, or unset METER_SPILL_DIR",
        )
    if find_spec("rocksdict") is None:
        raise spill_unusable(directory, "RocksDB is not installed", "Install the product with its extra, spill")
    if not directory.startswith("/"):
        raise spill_unusable(directory, "it is not an absolute path")
