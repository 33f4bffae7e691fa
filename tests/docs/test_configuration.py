"""docs/configuration.md names exactly the variables that both programs read, with their defaults and bounds."""

import re
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from msgspec import inspect

import aggregator.settings
import meter.settings

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "configuration.md"
SETTINGS: Final[dict[str, type[msgspec.Struct]]] = {
    "Meter": meter.settings.Settings,
    "Aggregator": aggregator.settings.Settings,
}

NOT_SET: Final = "not set"
ROW: Final = re.compile(r"^\| `([A-Z_]+)` \| ([^|]+) \| ([^|]+) \|", re.MULTILINE)


def documented(section: str) -> dict[str, tuple[str, str]]:
    """The rows of one section's table: variable -> (default, bounds)."""
    text = DOCUMENT.read_text(encoding="utf-8")
    _, found, rest = text.partition(f"\n## {section}\n")
    assert found, f"no section {section}"
    body = rest.partition("\n## ")[0]
    return {variable: (default.strip("` "), bounds) for variable, default, bounds in ROW.findall(body)}


def as_written(default: Any) -> str:
    """A default as a person would write it in the environment."""
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default) or NOT_SET


def limits(declared: inspect.Type) -> list[str]:
    """The numbers and words that bound a field, as the document writes them. Patterns of text have none."""
    if isinstance(declared, inspect.IntType | inspect.FloatType):
        given = (declared.ge, declared.gt, declared.le, declared.lt)
        return [f"{limit:,}" for limit in given if limit is not None]
    return [str(value) for value in declared.values] if isinstance(declared, inspect.LiteralType) else []


@pytest.mark.parametrize("section", SETTINGS)
def test_every_variable_is_documented_with_its_default(section: str) -> None:
    """A variable that is missing, superfluous or described with another default fails."""
    fields = msgspec.structs.fields(SETTINGS[section])
    assert {name: default for name, (default, _) in documented(section).items()} == {
        field.encode_name: as_written(field.default) for field in fields
    }


@pytest.mark.parametrize("section", SETTINGS)
def test_every_bound_is_documented(section: str) -> None:
    """Each limit of a number and each word of a choice stands in the column of bounds."""
    rows = documented(section)
    declared = inspect.type_info(SETTINGS[section])
    assert isinstance(declared, inspect.StructType)
    missing = [
        (field.encode_name, limit)
        for field in declared.fields
        for limit in limits(field.type)
        if limit not in re.split(r"[`\s]+|,\s", rows[field.encode_name][1])
    ]
    assert missing == []
