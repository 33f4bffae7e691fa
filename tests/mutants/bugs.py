"""The known bugs, as edits of the product."""

from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

FILE: Final = Path(__file__).with_name("bugs.yml")


class NoSuchBugError(Exception):
    """An edit does not fit the code any more: a sentence that says which."""


class Edit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`old` stands exactly once in the file."""

    old: str
    new: str


class Bug(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One bug: `law` says what it breaks; `more` are edits of the same file that go with it."""

    name: str
    law: str
    file: str
    old: str
    new: str
    more: list[Edit] = []


def known() -> list[Bug]:
    """All of them."""
    found: Any = yaml.safe_load(FILE.read_text("utf-8"))
    return msgspec.convert(found, list[Bug])


def apply(bug: Bug, project: Path) -> None:
    """Put the bug into a copy of the project. Raises NoSuchBugError where the code has changed."""
    path = project / bug.file
    text = path.read_text("utf-8")
    for edit in (Edit(bug.old, bug.new), *bug.more):
        if text.count(edit.old) != 1:
            times = text.count(edit.old)
            raise NoSuchBugError(
                f"{bug.name}: its text stands {times} times in {bug.file}: mend tests/mutants/bugs.yml"
            )
        text = text.replace(edit.old, edit.new)
    path.write_text(text, "utf-8")
