"""Settings from the environment: every variable of either program is refused with what to do."""

from types import ModuleType

import msgspec
import pytest

from aggregator import settings as aggregator
from meter import settings as meter
from schemas.environment import CommonSettings, SettingsError, read, unusable


@pytest.mark.parametrize("program", [meter, aggregator], ids=["meter", "aggregator"])
def test_every_variable_has_its_advice(program: ModuleType) -> None:
    """One that had none would end the program with a KeyError where a sentence is due."""
    names = {field.encode_name for field in msgspec.structs.fields(program.Settings)}
    assert names == program._ADVICE.keys()


class Numbers(CommonSettings, frozen=True, kw_only=True):
    """A program of its own."""

    count: int = 1
    is_on: bool = True


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("COUNT", "1.5", "COUNT='1.5' cannot be used: it is not a whole number. Set it to that."),
        ("IS_ON", "perhaps", "IS_ON='perhaps' cannot be used: it is neither true nor false. Set it to that."),
        (
            "KAFKA_SESSION_TIMEOUT_S",
            "soon",
            "KAFKA_SESSION_TIMEOUT_S='soon' cannot be used: it is not a number. Set it to that.",
        ),
        (
            "KAFKA_BOOTSTRAP_SERVERS",
            "a:1, b",
            "KAFKA_BOOTSTRAP_SERVERS='a:1, b' cannot be used: 'b' is not HOST:PORT. Set it to that.",
        ),
        ("METRICS_PORT", "65536", "METRICS_PORT='65536' cannot be used: it is too large or too small. Set it to that."),
    ],
)
def test_a_refusal_says_what_why_and_what_to_do(variable: str, value: str, sentence: str) -> None:
    """In words that are not Python's."""
    with pytest.raises(SettingsError) as refused:
        read({variable: value}, Numbers, {variable: "that"})
    assert str(refused.value) == sentence


def test_the_first_wrong_variable_is_refused() -> None:
    """In the order of the fields, not in that of the environment."""
    with pytest.raises(SettingsError, match=r"^METRICS_PORT="):
        read({"COUNT": "x", "METRICS_PORT": "x"}, Numbers, {"COUNT": "1", "METRICS_PORT": "1"})


@pytest.mark.parametrize(
    ("value", "shown"),
    [("nonsense", True), ("http://user:pass@host", False), ("http://host?password=pass", False)],
)
def test_a_secret_is_shown_only_where_no_password_can_be(value: str, shown: bool) -> None:
    """A URL can hold one before its host, and after a question mark."""
    sentence = str(unusable("DSN", value, "why", "Do that", is_secret=True))
    assert sentence.startswith("DSN='nonsense' cannot be used: " if shown else "DSN, not shown as it may hold")
    assert "pass@" not in sentence
    assert "password=" not in sentence
