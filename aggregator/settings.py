"""Settings of the aggregator from environment variables, read once when it starts."""

import os
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from schemas.environment import COMMON_ADVICE, CommonSettings, read


class Settings(CommonSettings, frozen=True, kw_only=True):
    """The variables of the aggregator. All have defaults, so several workers start on one machine without any set."""

    clickhouse_dsn: Annotated[str, msgspec.Meta(pattern=r"^((clickhouse|https?)://[^/\s]+|chdb:///+[^/].*$)")] = (
        "clickhouse://default@127.0.0.1:8123/default"
    )
    """A ClickHouse server, or `chdb:///DIR` for the embedded engine on the absolute directory DIR."""
    aggregator_flush_ms: Annotated[int, msgspec.Meta(ge=1, le=60_000)] = 500
    """How long rows may wait for other rows before they are inserted."""
    aggregator_reconcile_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 60.0
    """How often a worker compares all figures; 0 for never."""


_ADVICE: Final = COMMON_ADVICE | {
    "CLICKHOUSE_DSN": "clickhouse://USER:PASSWORD@HOST:8123/DATABASE, or to chdb:///DIR with an absolute DIR",
    "AGGREGATOR_FLUSH_MS": "whole milliseconds from 1 to 60000",
    "AGGREGATOR_RECONCILE_S": "seconds up to 86400, or to 0 for never",
}


def load(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from `environment`. Raises SettingsError for a variable that cannot be used."""
    return read(environment, Settings, _ADVICE, secret=("CLICKHOUSE_DSN",))
