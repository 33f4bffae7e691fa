"""The prose of the project is plain English: docstrings, comments and documents."""

import re
from collections.abc import Iterator
from typing import Final

import pytest

from tests.style.sources import Fault, Source, documents, hold, line_at, product, suite
from tests.style.words import FORBIDDEN, PRONOUNS

SPACE: Final = r"\s+(?:[#*]\s+)?"
"""A phrase may go on in the next line, behind the sign of a comment."""

Patterns = dict[str, tuple[re.Pattern[str], str]]
"""Words -> their pattern, and what to write instead."""

PATTERNS: Final[Patterns] = {
    words: (re.compile(rf"(?<![\w-])(?:{words})(?![\w-])".replace(" ", SPACE), re.IGNORECASE), instead)
    for words, instead in FORBIDDEN.items()
}

NOT_YET: Final = "tests/chaos/"
"""Not held to `PRONOUNS` yet."""

EXAMPLES: Final = (
    "whoever asks",
    "Whatever it is",
    "somebody else",
    "thereby",
    "closed it is",
    "is to be asked",
    "of one's own",
    "obeys",
)


def forbidden_words(source: Source, patterns: Patterns = PATTERNS) -> Iterator[Fault]:
    """A word or phrase of `FORBIDDEN` in what people read."""
    for text in source.prose:
        for pattern, instead in patterns.values():
            for found in pattern.finditer(text.text):
                line = text.line + line_at(text.text, found.start()) - 1
                words = " ".join(found.group().split())
                yield Fault(source.path, line, f"`{words}` is not used", f"instead: {instead}")


def test_docstrings_and_comments_of_the_product_are_plain() -> None:
    sources = product(".py", ".pyi", ".c", ".h", ".sql")
    hold(fault for source in sources for fault in forbidden_words(source))


def test_docstrings_and_comments_of_the_tests_name_their_subjects() -> None:
    patterns = {words: PATTERNS[words] for words in PRONOUNS}
    sources = [source for source in suite(".py") if not source.path.startswith(NOT_YET)]
    hold(fault for source in sources for fault in forbidden_words(source, patterns))


def test_documents_are_plain() -> None:
    hold(fault for source in documents() for fault in forbidden_words(source))


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_forbidden_word_is_found(example: str) -> None:
    for source in (
        Source("a.py", f'"""A.\n\nOne {example}, two.\n"""\n'),
        Source("a.py", f"\n\n# One {example}, two.\n"),
        Source("a.c", f"/* One\n *\n * {example}, two. */\n"),
        Source("a.sql", f"SELECT 1;\n\n-- {example}\n"),
        Source("a.md", f"One\n\n- {example}\n"),
    ):
        (fault,) = forbidden_words(source)
        assert str(fault).startswith(f"{source.path}:3: `{example.split()[0]}")


@pytest.mark.parametrize(
    ("path", "text"),
    [("a.py", "# a is\n# to be asked\n"), ("a.c", "/* a is\n * to be asked */\n"), ("a.md", "a is\nto be asked\n")],
)
def test_a_phrase_over_two_lines_is_found(path: str, text: str) -> None:
    (fault,) = forbidden_words(Source(path, text))
    assert fault.line == 1


def test_code_is_not_prose() -> None:
    assert list(forbidden_words(Source("a.md", "`whoever`\n\n```\nwhoever\n```\n\n    whoever\n"))) == []
    assert list(forbidden_words(Source("a.py", 'whoever = "whatever"\n"""Plain, with `nobody` quoted."""\n'))) == []
    assert list(forbidden_words(Source("a.c", 'char *whoever = "nobody";\n'))) == []


def test_a_part_of_a_word_is_no_word() -> None:
    text = "Extend the utilization; a contended lock; the threshold; very-large is one word.\n"
    assert list(forbidden_words(Source("a.md", text))) == []
