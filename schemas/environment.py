"""Settings from environment variables, for either program: checked once at the start, refused with what to do."""

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Final, TypeVar

import msgspec

_SERVER: Final = re.compile(r"(\[[0-9A-Fa-f:]+\]|[^\s,;:/\[\]]+):(?P<port>[0-9]{1,5})")


class SettingsError(Exception):
    """A variable cannot be used as it is; the message says which, why and what to do."""


class CommonSettings(msgspec.Struct, frozen=True, kw_only=True, rename="upper"):
    """What both programs read. The name of a field is the name of its variable in lower case."""

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    kafka_session_timeout_s: Annotated[float, msgspec.Meta(ge=1, le=90)] = 10.0
    """How long the group waits for a silent worker before its partitions go to others."""
    metrics_host: str = "127.0.0.1"
    metrics_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    """0 takes the first free port from the program's own first one on."""

    def broker_url(self) -> str:
        """The servers as Faust writes a list of them, for the transport `batch://`."""
        return ";".join(f"batch://{server.strip()}" for server in self.kafka_bootstrap_servers.split(","))


COMMON_ADVICE: Final = {
    "KAFKA_BOOTSTRAP_SERVERS": "HOST:PORT, or several with commas between, such as kafka-1:9092,kafka-2:9092",
    "KAFKA_SESSION_TIMEOUT_S": "seconds from 1 to 90",
    "METRICS_HOST": "the address to listen on, such as 127.0.0.1 or 0.0.0.0",
    "METRICS_PORT": "a port from 1 to 65535, or to 0 for the first free one",
}

_Settings = TypeVar("_Settings", bound=CommonSettings)


def read(
    environment: Mapping[str, str], settings: type[_Settings], advice: Mapping[str, str], secret: Collection[str] = ()
) -> _Settings:
    """The settings that `environment` gives. A variable that is unset or empty has its default.

    `advice` completes "Set it to ..." for each variable. A variable of `secret` may hold a password in a URL, which no
    message repeats. Raises SettingsError for the first variable that cannot be used.
    """
    names = [field.encode_name for field in msgspec.structs.fields(settings)]
    given = {name: environment[name] for name in names if environment.get(name)}
    for name, value in given.items():
        why = _why_not(name, value, settings)
        if why:
            raise unusable(name, value, why, f"Set it to {advice[name]}", is_secret=name in secret)
    return msgspec.convert(given, settings, strict=False)


def unusable(name: str, value: str, why: str, advice: str, *, is_secret: bool = False) -> SettingsError:
    """The error for a variable: its value, why it cannot be used, and a sentence of what to do, without its period.

    Of a secret variable the value is shown only if no password can be in it.
    """
    is_shown = not is_secret or not re.search("[@?]", value)
    shown = f"{name}={value!r}" if is_shown else f"{name}, not shown as it may hold a password,"
    return SettingsError(f"{shown} cannot be used: {why}. {advice}.")


def _why_not(name: str, value: str, settings: type[CommonSettings]) -> str:
    """Why a variable cannot have this value; empty if it can."""
    try:
        msgspec.convert({name: value}, settings, strict=False)
    except msgspec.ValidationError as error:
        return _in_words(str(error))
    if name == "KAFKA_BOOTSTRAP_SERVERS":
        for server in (each.strip() for each in value.split(",")):
            found = _SERVER.fullmatch(server)
            if found is None or not 0 < int(found["port"]) < 65536:
                return f"{server!r} is not HOST:PORT"
    return ""


def _in_words(message: str) -> str:
    """What msgspec says of a value that does not fit its field, without the types, which are Python's."""
    if message.startswith("Invalid enum value"):
        return "there is no such choice"
    if "got `str`" in message:
        return next(words for kind, words in _NOT_A.items() if f"`{kind}`" in message)
    if re.match(r"Expected `(int|float)` [<>]", message):
        return "it is too large or too small"
    return "it does not have the right form"


_NOT_A: Final = {
    "int": "it is not a whole number",
    "float": "it is not a number",
    "bool": "it is neither true nor false",
}
