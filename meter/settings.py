"""Configuration: environment variables, checked once at the start. What is wrong is refused with a sentence."""

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated, Final, Literal

import msgspec

from meter.core.policy import Policy
from meter.kernel import is_built
from schemas.instants import HOUR_MS

_SERVER = re.compile(r"(\[[0-9A-Fa-f:]+\]|[^\s,;:/\[\]]+):(?P<port>[0-9]{1,5})")

KernelUse = Literal["auto", "off", "require"]
Stage = Literal["sessionize", "charge"]
_STAGES: Final[tuple[Stage, ...]] = ("sessionize", "charge")

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class SettingsError(Exception):
    """A variable cannot be used as it is; the message says which and what to do."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="upper"):
    """Field names are the variables' names in lower case."""

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    kafka_partitions: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 4
    """How many partitions `meter topics` gives each topic: the most workers that can share the work."""
    kafka_replication_factor: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1
    kafka_idempotent: bool = True
    """Off only for a broker that has no idempotent producer, such as the embedded one."""
    kafka_session_timeout_s: Annotated[float, msgspec.Meta(ge=1, le=90)] = 10.0
    metrics_host: str = "127.0.0.1"
    metrics_port: Port = 0
    """0 takes the first free port from 9100 on."""
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
            raise SettingsError(
                f"METER_STAGES={self.meter_stages!r} cannot be used: "
                "give sessionize, charge, or sessionize,charge for a worker that does both."
            )
        return frozenset(stage for stage in _STAGES if stage in named)

    def policy(self) -> Policy:
        """The rulings of DOMAIN as this deployment sets them."""
        return Policy(
            horizon_ms=int(self.meter_late_horizon_h * HOUR_MS),
            unknown_workspace=self.meter_unknown_workspace,
            debit_order=self.meter_debit_order,
        )


def load(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings that `environment` gives. Raises SettingsError."""
    names = {field.encode_name for field in msgspec.structs.fields(Settings)}
    given = {name: value for name, value in environment.items() if name in names and value != ""}
    try:
        settings = msgspec.convert(given, Settings, strict=False)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$.")
        variable = path.rstrip("`")
        raise SettingsError(
            f"{variable}={given.get(variable, '')!r} cannot be used: {message}. Correct {variable} or unset it."
        ) from None
    _check_servers(settings.kafka_bootstrap_servers)
    if settings.meter_kernel == "require" and not is_built():
        raise SettingsError(
            "METER_KERNEL='require' cannot be used: the kernel is not built. "
            "Install a C compiler and the product once more, or set METER_KERNEL=auto."
        )
    settings.stages()
    _check_spill(settings)
    return settings


def _check_spill(settings: Settings) -> None:
    directory = settings.meter_spill_dir
    if not directory:
        return
    refused = f"METER_SPILL_DIR={directory!r} cannot be used"
    if settings.meter_kernel == "off" or not is_built():
        raise SettingsError(
            f"{refused}: only the compiled kernel can let go of state. "
            "Build it and leave METER_KERNEL at auto, or unset METER_SPILL_DIR."
        )
    if find_spec("rocksdict") is None:
        raise SettingsError(f"{refused}: RocksDB is not installed. Install the product with its extra, spill.")
    if not directory.startswith("/"):
        raise SettingsError(f"{refused}: it is not an absolute path. Give a directory on a local disk.")


def _check_servers(servers: str) -> None:
    for server in servers.split(","):
        found = _SERVER.fullmatch(server.strip())
        if found is None or not 0 < int(found["port"]) < 65536:
            raise SettingsError(
                f"KAFKA_BOOTSTRAP_SERVERS={servers!r} cannot be used: {server.strip()!r} is not HOST:PORT. "
                "Give one, or several with commas between, such as kafka-1:9092,kafka-2:9092."
            )
