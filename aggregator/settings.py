"""What the environment says to the aggregator: read once at the start."""

import os
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from schemas.environment import COMMON_ADVICE, CommonSettings, read


class Settings(CommonSettings, frozen=True, kw_only=True):
    """All of it has defaults, so that any number of workers start on one machine with none set."""

    clickhouse_dsn: Annotated[str, msgspec.Meta(pattern=r"^((clickhouse|https?)://[^/\s]+|chdb:///+[^/].*$)")] = (
        "clickhouse://default@127.0.0.1:8123/default"
    )
    aggregator_flush_ms: Annotated[int, msgspec.Meta(ge=1, le=60_000)] = 500
    """How long rows may wait for others before they are written."""
    aggregator_reconcile_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 60.0
    """How often a worker looks whether everything adds up; 0 for never."""


_ADVICE: Final = COMMON_ADVICE | {
    "CLICKHOUSE_DSN": "clickhouse://USER:PASSWORD@HOST:8123/DATABASE, or to chdb:///DIR with an absolute DIR",
    "AGGREGATOR_FLUSH_MS": "whole milliseconds from 1 to 60000",
    "AGGREGATOR_RECONCILE_S": "seconds up to 86400, or to 0 for never",
}


def load(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings that `environment` gives. Raises SettingsError."""
    return read(environment, Settings, _ADVICE, secret=("CLICKHOUSE_DSN",))
