"""The meter's configuration: environment variables, read and checked once, when a program starts."""

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Annotated, Final, Literal

import msgspec

from meter.core.policy import Policy, PolicyInForce
from meter.kernel import is_built
from schemas.environment import COMMON_ADVICE, CommonSettings, SettingsError, read, unusable
from schemas.instants import HOUR_MS
from schemas.notices import ADDRESS_PATTERN

KernelUse = Literal["auto", "off", "require"]
Stage = Literal["sessionize", "charge", "commands"]
_STAGES: Final[tuple[Stage, ...]] = ("sessionize", "charge", "commands")


class Settings(CommonSettings, frozen=True, kw_only=True):
    """The variables that the meter reads: those of both programs, and its own.

    A field is named like its variable, in lower case. Bounds are included unless a docstring says otherwise. The table
    for operators is in `docs/configuration.md`.
    """

    kafka_partitions: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 4
    """Partitions of each topic that `meter topics` creates, 1 to 10,000.

    This is the most workers that can share the work of one stage.
    """

    kafka_replication_factor: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1
    """Copies of each partition that `meter topics` creates, 1 to 10. One copy is all that a single broker can keep."""

    kafka_idempotent: bool = True
    """Whether the producer is idempotent, so that its retries neither repeat nor reorder records.

    False only for a broker that does not support it, such as the embedded one.
    """

    meter_stages: str = "sessionize,charge,commands"
    """The stages that a worker runs, separated by commas: `sessionize`, `charge`, `commands`.

    By default one kind of worker does all the work. Workers with one stage each can be scaled separately.
    """

    meter_checkpoint_ms: Annotated[int, msgspec.Meta(ge=10, le=600_000)] = 1_000
    """How often each partition's state is saved, in milliseconds, 10 to 600,000.

    A crash repeats at most the work of about this time. A shorter time writes state more often.
    """

    meter_late_horizon_h: Annotated[float, msgspec.Meta(gt=0, le=24 * 365)] = 24.0
    """How far behind the watermark an event may be and still count, in hours, above 0 and up to 8,760.

    A longer horizon needs more state: closed conversations are kept until it has passed.
    """

    meter_unknown_workspace: Literal["provision", "hold"] = "provision"
    """For a workspace that no command created: make it a Standard one, or meter it without charging."""

    meter_debit_order: Literal["free_first", "paid_first"] = "free_first"
    """Whether free grants pay before paid credit, or after it."""

    meter_kernel: KernelUse = "auto"
    """Whether the compiled kernel sessionizes: `auto` if it is built, `off` never, `require` always.

    With `require`, a worker does not start if the kernel is not built.
    """

    meter_spill_dir: str = ""
    """The directory for the state of chat events that does not fit in memory: an absolute path on a local disk.

    Empty, the default, keeps all state in memory. Needs the kernel, and RocksDB from the extra `spill`.
    """

    meter_spill_above_mb: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] = 256.0
    """How much state of one partition stays in memory if METER_SPILL_DIR is set, in MiB, 0 to 1,000,000."""

    meter_payments: Literal["sandbox", "stripe"] = "sandbox"
    """The payment gateway of `meter payments`. The sandbox moves no money."""
    meter_stripe_key_file: Annotated[str, msgspec.Meta(max_length=4_096)] = ""
    """The file with Stripe's secret key, and nothing else. Required by METER_PAYMENTS=stripe."""

    meter_page_url: Annotated[
        str, msgspec.Meta(max_length=500, pattern=r"^https?://[^\s/?#@\"'<>]+(/[^\s?#\"'<>]*)?\Z")
    ] = "http://127.0.0.1:8080"
    """The address of the product's web pages, to which notices link: http or https, without a query."""

    meter_seller_name: Annotated[str, msgspec.Meta(max_length=200)] = "Conversation Meter"
    """The seller's name on notices and invoices."""
    meter_seller_address: Annotated[str, msgspec.Meta(max_length=1_000)] = ""
    """The seller's postal address on notices and invoices, with a semicolon between two lines."""
    meter_seller_tax_id: Annotated[str, msgspec.Meta(max_length=100)] = ""
    """The seller's tax number on invoices."""
    meter_seller_email: Annotated[str, msgspec.Meta(max_length=320, pattern=ADDRESS_PATTERN)] = "billing@localhost"
    """The address from which notices come, and to which people answer."""
    meter_invoice_fonts: str = ""
    """Font files, with commas between, for letters on invoices that the built-in font does not have."""

    meter_http_host: Annotated[str, msgspec.Meta(max_length=255)] = "127.0.0.1"
    """The address on which the gateway listens. It speaks plain HTTP: put a proxy with TLS before it."""

    meter_http_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    """The port of the gateway; 0 takes the first free one from 8090 on."""

    meter_http_rate: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 200
    """How many requests a second one API key may make, 1 to 100,000; twice as many at once after a pause."""

    meter_api_keys_file: Annotated[str, msgspec.Meta(max_length=4_096)] = ""
    """The file of API keys, which `python -m meter keys` writes and the gateway reads. It holds hashes only."""
    meter_smtp_url: Annotated[str, msgspec.Meta(max_length=2_000)] = ""
    """The mail server that takes notices: `smtp://`, `smtps://` or `smtp+starttls://`, with a user if needed."""

    meter_mail_dir: str = ""
    """A directory for mails as `.eml` files, instead of a mail server: for a trial."""

    meter_webhooks_file: str = ""
    """A YAML or JSON file with the endpoints that get notices as webhooks."""

    meter_notify_retry_h: Annotated[float, msgspec.Meta(ge=0, le=24 * 30)] = 24.0
    """How long a webhook, or a mail that a server refuses for the time being, is tried again, in hours, 0 to 720."""

    meter_notice_max_age_h: Annotated[float, msgspec.Meta(gt=0, le=24 * 90)] = 168.0
    """How long after its event a notice may be written and still be sent, in hours, above 0 and up to 2,160."""

    meter_log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"
    """The least severe message that a worker logs."""

    def stages(self) -> frozenset[Stage]:
        """Return the stages that a worker runs, at least one. Raises SettingsError if METER_STAGES names another."""
        named = {name.strip() for name in self.meter_stages.split(",")}
        if not named <= set(_STAGES):
            raise unusable(
                "METER_STAGES", self.meter_stages, "there is no such stage", f"Set it to {_ADVICE['METER_STAGES']}"
            )
        return frozenset(stage for stage in _STAGES if stage in named)

    def policy(self) -> Policy:
        """Return the parameters of the rules (docs/DOMAIN.md) as this deployment sets them."""
        return Policy(
            horizon_ms=int(self.meter_late_horizon_h * HOUR_MS),
            unknown_workspace=self.meter_unknown_workspace,
            debit_order=self.meter_debit_order,
        )


_POLICY: Final[dict[str, tuple[str, Callable[[Policy], str]]]] = {
    "METER_LATE_HORIZON_H": ("late-horizon-h", lambda policy: f"{policy.horizon_ms / HOUR_MS:g}"),
    "METER_UNKNOWN_WORKSPACE": ("unknown-workspace", lambda policy: policy.unknown_workspace),
    "METER_DEBIT_ORDER": ("debit-order", lambda policy: policy.debit_order),
}
"""The variables that a policy begins with -> the option of `meter policy set`, and the value in a policy."""


def require_agreement(settings: Settings, in_force: PolicyInForce, environment: Mapping[str, str]) -> None:
    """Check that each variable which is set agrees with the policy in force. A variable that is not set claims nothing.

    Raises SettingsError with the command that changes the policy. `settings` are those that `environment` gives.
    """
    wanted, differing = settings.policy(), []
    for variable, (option, value_in) in _POLICY.items():
        if environment.get(variable) and value_in(wanted) != value_in(in_force.policy):
            differing.append((variable, option, value_in(wanted), value_in(in_force.policy)))
    if differing:
        claims = " and ".join(f"{variable}={value}" for variable, _, value, _ in differing)
        found = " and ".join(value for *_, value in differing)
        options = " ".join(f"--{option} {value}" for _, option, value, _ in differing)
        variables = " and ".join(variable for variable, *_ in differing)
        raise SettingsError(
            f"{claims} contradict{'s' if len(differing) == 1 else ''} the policy in force, version "
            f"{in_force.version}, which has {found}: run `python -m meter policy set {options}` to change the policy, "
            f"or unset {variables}"
        )


_ADVICE: Final = COMMON_ADVICE | {  # Completes "Set it to ..." in the error for a variable.
    "KAFKA_PARTITIONS": "a whole number from 1 to 10000",
    "KAFKA_REPLICATION_FACTOR": "a whole number from 1 to 10",
    "KAFKA_IDEMPOTENT": "true, or to false for a broker that has no idempotent producer",
    "METER_STAGES": "stages with commas between: sessionize,charge,commands, or some of them",
    "METER_CHECKPOINT_MS": "whole milliseconds from 10 to 600000",
    "METER_LATE_HORIZON_H": "hours above 0 and up to 8760",
    "METER_UNKNOWN_WORKSPACE": "provision or hold",
    "METER_DEBIT_ORDER": "free_first or paid_first",
    "METER_KERNEL": "auto, off or require",
    "METER_SPILL_DIR": "the absolute path of a directory on a local disk that the worker may write to",
    "METER_SPILL_ABOVE_MB": "mebibytes from 0 to 1000000",
    "METER_PAYMENTS": "sandbox or stripe",
    "METER_STRIPE_KEY_FILE": "the path of a file with the secret key alone",
    "METER_PAGE_URL": "http:// or https:// with a host and no query, such as https://meter.example.com",
    "METER_SELLER_NAME": "a name of up to 200 characters",
    "METER_SELLER_ADDRESS": "lines with semicolons between, up to 1000 characters",
    "METER_SELLER_TAX_ID": "a number of up to 100 characters",
    "METER_SELLER_EMAIL": "an e-mail address without a name, such as billing@example.com",
    "METER_HTTP_HOST": "the address to listen on, such as 127.0.0.1 or 0.0.0.0",
    "METER_HTTP_PORT": "a port from 1 to 65535, or to 0 for the first free one",
    "METER_HTTP_RATE": "a whole number of requests a second, from 1 to 100000",
    "METER_API_KEYS_FILE": "the path of the file of API keys",
    "METER_INVOICE_FONTS": "paths of TrueType or OpenType files with commas between",
    "METER_SMTP_URL": "smtp://, smtps:// or smtp+starttls:// with USER:PASSWORD@ if needed, a host and a port",
    "METER_MAIL_DIR": "the path of a directory that the program may write to",
    "METER_WEBHOOKS_FILE": "the path of a YAML or JSON file with endpoints",
    "METER_NOTIFY_RETRY_H": "hours from 0 to 720",
    "METER_NOTICE_MAX_AGE_H": "hours above 0 and up to 2160",
    "METER_LOG_LEVEL": "DEBUG, INFO, WARNING or ERROR",
}


def load(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings that `environment` gives. Raises SettingsError for the first variable that cannot be used.

    Also checks what one field alone cannot show: that the kernel is built if it is required, and that spilling is
    possible if METER_SPILL_DIR is set.
    """
    settings = read(environment, Settings, _ADVICE, secret=("METER_SMTP_URL",))
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
    """Return the error for METER_SPILL_DIR. Without `advice`, it says what the directory must be."""
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
