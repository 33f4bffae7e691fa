"""What the documents point at is there: files, headings, tests."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
NOT_OURS: Final = ("build", "data")

LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE: Final = re.compile(r"`([^`\n]+)`")
FENCE: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING: Final = re.compile(r"^#+ +(.+)$", re.MULTILINE)
FILE: Final = re.compile(r"[\w.-]+(/[\w.-]+)+\.(py|md|sql|yml)(::\w+)?")
ELSEWHERE: Final = ("http://", "https://", "mailto:")


def documents(folder: Path) -> Iterator[Path]:
    """All of a folder, without what is hidden or built."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in NOT_OURS:
            continue
        if path.is_dir():
            yield from documents(path)
        elif path.suffix == ".md":
            yield path


DOCUMENTS: Final = list(documents(ROOT))


def named(document: Path) -> str:
    """How a document is shown in a test's id."""
    return document.relative_to(ROOT).as_posix()


def prose(document: Path) -> str:
    """The text without its blocks of code."""
    return FENCE.sub("", document.read_text(encoding="utf-8"))


def anchors(document: Path) -> set[str]:
    """The headings of a document, as links name them."""
    headings = (heading.lower() for heading in HEADING.findall(prose(document)))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def broken_links(document: Path) -> Iterator[str]:
    """Relative links that lead to no file, or to no heading of it."""
    for link in LINK.findall(prose(document)):
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        if link.startswith(ELSEWHERE):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


def missing_files(document: Path) -> Iterator[str]:
    """Paths in backticks, from the root or from the document's folder, that lead nowhere; tests that are not there."""
    for code in CODE.findall(prose(document)):
        if not FILE.fullmatch(code):
            continue
        path, _, test = code.partition("::")
        found = [place / path for place in (ROOT, document.parent) if (place / path).is_file()]
        if not found or (test and f"def {test}(" not in found[0].read_text(encoding="utf-8")):
            yield code


def test_there_are_documents() -> None:
    """Or the tests below would hold nothing."""
    assert {"README.md", "docs/DOMAIN.md", "meter/core/README.md"} <= {named(document) for document in DOCUMENTS}


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    """A link that leads nowhere is worse than none."""
    assert list(broken_links(document)) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_file_and_test_that_is_named_exists(document: Path) -> None:
    """Evidence that cannot be found is none."""
    assert list(missing_files(document)) == []


def test_what_is_broken_is_found(tmp_path: Path) -> None:
    """The check can see."""
    document = tmp_path / "x.md"
    document.write_text(
        "# One\n[a](#one) [b](#two) [c](y.md) `docs/none.md` `schemas/money.py` `schemas/money.py::none`\n"
    )
    assert list(broken_links(document)) == ["#two", "y.md"]
    assert list(missing_files(document)) == ["docs/none.md", "schemas/money.py::none"]
