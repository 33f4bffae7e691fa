"""Every version reads what every earlier one has written, and writes what its golden files say."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.golden.writing import DIRECTORY, MEANING, RECORDS, directory, meaning, written

VERSIONS = sorted(path.parent for path in DIRECTORY.glob(f"*/{RECORDS}"))


def within(kept: Any, found: Any) -> bool:
    """Whether all that was kept is found; a later version may add fields."""
    if isinstance(kept, dict):
        return isinstance(found, dict) and all(key in found and within(kept[key], found[key]) for key in kept)
    if isinstance(kept, list):
        return len(kept) == len(found) and all(map(within, kept, found))
    return bool(kept == found)


@pytest.mark.parametrize("version", VERSIONS, ids=lambda path: path.name)
async def test_what_a_version_has_written_keeps_its_meaning(version: Path) -> None:
    """Both stages go on from its state, and its messages come to the same entries, usage, balances and dead letters."""
    kept = json.loads((version / MEANING).read_text("utf-8"))
    found = await meaning(json.loads((version / RECORDS).read_text("utf-8")))
    assert within(kept, found), differing(kept, found)


def differing(kept: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """The parts that differ."""
    return [f"{name}: {kept[name]} became {found[name]}" for name in kept if not within(kept[name], found[name])]


async def test_the_present_formats_are_those_of_their_golden_files() -> None:
    """A change of format cannot go unnoticed: it needs a new number, or new files."""
    for name, content in (await written()).items():
        path = directory() / name
        assert path.exists(), f"{path} does not exist: run `python -m tests.golden`"
        assert path.read_text("utf-8") == content, (
            f"{path} is not what this version writes: raise a number in schemas/formats.py if an older version cannot "
            "read the change whole; then run `python -m tests.golden`"
        )


def test_a_field_that_is_lost_is_noticed() -> None:
    """The comparison forgives what is added, and nothing else."""
    assert within({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2, "c": 3}], "d": 4})
    assert not within({"a": 1}, {})
    assert not within({"a": [1]}, {"a": [1, 2]})
    assert not within({"a": {"b": 1}}, {"a": {"b": 2}})
