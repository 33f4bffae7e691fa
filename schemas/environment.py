"""Reading of settings from environment variables, for both programs. A refusal says what to do."""

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Final, TypeVar

import msgspec

_SERVER: Final = re.compile(r"(\[[0-9A-Fa-f:]+\]|[^\s,;:/\[\]]+):(?P<port>[0-9]{1,5})")


class SettingsError(Exception):
    """A variable cannot be used. The message says which one, why, and what to set it to."""


class CommonSettings(msgspec.Struct, frozen=True, kw_only=True, rename="upper"):
    """The variables that both programs read. A field has the name of its variable in lower case."""

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    """HOST:PORT of each broker to connect to first, with commas between."""
    kafka_session_timeout_s: Annotated[float, msgspec.Meta(ge=1, le=90)] = 10.0
    """How long the consumer group waits for a silent worker before other workers get its partitions."""
    metrics_host: str = "127.0.0.1"
    metrics_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    """The port of /metrics; 0 takes the first free one, from the program's own first port on."""

    def broker_url(self) -> str:
        """The URL of the brokers in Faust's form for several: `batch://HOST:PORT;batch://HOST:PORT`."""
        return ";".join(f"batch://{server.strip()}" for server in self.kafka_bootstrap_servers.split(","))


COMMON_ADVICE: Final = {
    "KAFKA_BOOTSTRAP_SERVERS": "HOST:PORT, or several with commas between, such as kafka-1:9092,kafka-2:9092",
    "KAFKA_SESSION_TIMEOUT_S": "seconds from 1 to 90",
    "METRICS_HOST": "the address to listen on, such as 127.0.0.1 or 0.0.0.0",
    "METRICS_PORT": "a port from 1 to 65535, or to 0 for the first free one",
}
"""The variables of CommonSettings -> the rest of the sentence "Set it to ..."."""

_Settings = TypeVar("_Settings", bound=CommonSettings)


def read(
    environment: Mapping[str, str], settings: type[_Settings], advice: Mapping[str, str], secret: Collection[str] = ()
) -> _Settings:
    """Read settings from `environment`. A variable that is unset or empty has its default.

    `advice` completes the sentence "Set it to ..." for each variable. `secret` names the variables that may hold a
    password in a URL; no message repeats such a value. Raises SettingsError for the first variable that cannot be used.
    """
    names = [field.encode_name for field in msgspec.structs.fields(settings)]
    given = {name: environment[name] for name in names if environment.get(name)}
    for name, value in given.items():
        why = _why_not(name, value, settings)
        if why:
            raise unusable(name, value, why, f"Set it to {advice[name]}", is_secret=name in secret)
    return msgspec.convert(given, settings, strict=False)


def unusable(name: str, value: str, why: str, advice: str, *, is_secret: bool = False) -> SettingsError:
    """The error for a variable that cannot be used. `why` and `advice` are phrases without a period at the end.

    The value of a secret variable is shown only if it holds neither `@` nor `?`, so that it cannot hold a password.
    """
    is_shown = not is_secret or not re.search("[@?]", value)
    shown = f"{name}={value!r}" if is_shown else f"{name}, not shown as it may hold a password,"
    return SettingsError(f"{shown} cannot be used: {why}. {advice}.")


def _why_not(name: str, value: str, settings: type[CommonSettings]) -> str:
    """The reason why a variable cannot have this value; empty if it can."""
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
    """The meaning of msgspec's message for a value that does not fit its field, without the names of Python's types."""
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
"""The type that msgspec expected -> what is wrong with a text that is not of this type."""
