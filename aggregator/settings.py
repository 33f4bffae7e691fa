"""What the environment says. A wrong value is refused with one sentence that names the variable and what to write."""

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

_HOST_PORT = r"(\[[0-9A-Fa-f:]+\]|[^\s,;:/\[\]]+):[0-9]{1,5}"


class SettingsError(Exception):
    """One sentence for the person who set the variable."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All of it has defaults, so that any number of workers start on one machine with none set."""

    bootstrap_servers: Annotated[str, msgspec.Meta(pattern=rf"^{_HOST_PORT}(,{_HOST_PORT})*$")] = msgspec.field(
        name="KAFKA_BOOTSTRAP_SERVERS", default="127.0.0.1:9092"
    )
    clickhouse_dsn: Annotated[str, msgspec.Meta(pattern=r"^((clickhouse|https?)://[^/\s]+|chdb:///+[^/].*$)")] = (
        msgspec.field(name="CLICKHOUSE_DSN", default="clickhouse://default@127.0.0.1:8123/default")
    )
    metrics_host: Annotated[str, msgspec.Meta(min_length=1)] = msgspec.field(name="METRICS_HOST", default="127.0.0.1")
    metrics_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = msgspec.field(name="METRICS_PORT", default=0)
    """0 takes the first free port from 9102 upward."""
    flush_ms: Annotated[int, msgspec.Meta(ge=1, le=60_000)] = msgspec.field(name="AGGREGATOR_FLUSH_MS", default=500)
    """How long rows may wait for others before they are written."""
    reconcile_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = msgspec.field(
        name="AGGREGATOR_RECONCILE_S", default=60
    )
    """How often a worker looks whether everything adds up; 0 for never."""
    session_timeout_s: Annotated[float, msgspec.Meta(ge=1, le=90)] = msgspec.field(
        name="KAFKA_SESSION_TIMEOUT_S", default=10
    )
    """How long the group waits for a silent worker before its partitions go to others."""


_WANTED: Final = {
    "KAFKA_BOOTSTRAP_SERVERS": "set it to HOST:PORT, or several with commas between",
    "CLICKHOUSE_DSN": "set it to clickhouse://USER:PASSWORD@HOST:8123/DATABASE, or to chdb:///DIR with an absolute DIR",
    "METRICS_HOST": "set it to the address to listen on, such as 127.0.0.1 or 0.0.0.0",
    "METRICS_PORT": "set it to a port from 1 to 65535, or to 0 for the first free one from 9102 upward",
    "AGGREGATOR_FLUSH_MS": "set it to whole milliseconds from 1 to 60000",
    "AGGREGATOR_RECONCILE_S": "set it to seconds from 1 to 86400, or to 0 for never",
    "KAFKA_SESSION_TIMEOUT_S": "set it to seconds from 1 to 90",
}


def from_environment(environment: Mapping[str, str]) -> Settings:
    """The settings; a variable that is unset or empty has its default. Raises SettingsError for the first wrong one."""
    given = {name: environment[name] for name in _WANTED if environment.get(name)}
    for name, value in given.items():
        try:
            msgspec.convert({name: value}, Settings, strict=False)
        except msgspec.ValidationError:
            raise SettingsError(f"{name} is {_shown(name, value)}, which cannot be used: {_WANTED[name]}.") from None
    return msgspec.convert(given, Settings, strict=False)


def _shown(name: str, value: str) -> str:
    # The one value that can hold a password is not repeated to a log.
    return "set to something" if name == "CLICKHOUSE_DSN" and "@" in value else repr(value)
