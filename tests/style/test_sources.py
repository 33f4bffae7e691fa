"""The reading of sources: which texts and which names the rules are given."""

from tests.style.sources import Source, defined_names, documents, parts, product, suite

PYTHON = '''"""Module."""
import json as parser

LIMIT: int = 1  # why one
"""Attribute."""


class Thing:
    """Class."""

    def run(self, first: int, *rest: int, **options: int) -> None:
        """Function, with `code` in it."""
        self.state = "no docstring"
        for each in rest:
            with first as opened:
                print(each, opened, "# no comment")
'''


def test_there_are_files_of_each_kind() -> None:
    """Without files the rules would find nothing."""
    assert {"schemas/events.py", "meter/worker.py", "aggregator/settings.py"} <= {each.path for each in product(".py")}
    assert {".c", ".h", ".pyi", ".sql"} == {each.suffix for each in product(".c", ".h", ".pyi", ".sql")}
    assert "tests/style/test_sources.py" in {each.path for each in suite(".py")}
    assert {"README.md", "docs/DOMAIN.md", "meter/README.md"} <= {each.path for each in documents()}


def test_python_prose_is_docstrings_and_comments() -> None:
    found = sorted(Source("a.py", PYTHON).prose)
    assert found == [
        (1, "Module."),
        (4, "# why one"),
        (5, "Attribute."),
        (9, "Class."),
        (12, "Function, with   in it."),
    ]


def test_c_and_sql_prose_is_comments() -> None:
    assert Source("a.c", "int a; /* one\n two */\nint b; // three\n").prose == [(1, "/* one\n two */"), (3, "// three")]
    assert Source("a.sql", "SELECT 1\n-- why\n").prose == [(2, "-- why")]


def test_markdown_prose_keeps_its_line_numbers_and_loses_code() -> None:
    text = "one `code`\n\n```\ncode\n```\n\n    code\n\n    code\n\nlast\n- item\n    continued\n"
    ((line, prose),) = Source("a.md", text).prose
    assert line == 1
    assert [(n, each.strip()) for n, each in enumerate(prose.split("\n"), 1) if each.strip()] == [
        (1, "one"),
        (11, "last"),
        (12, "- item"),
        (13, "continued"),
    ]


def test_names_are_those_that_a_file_gives() -> None:
    names = [name for name, _ in defined_names(Source("a.py", PYTHON).tree)]
    assert sorted(names) == sorted(
        ["parser", "LIMIT", "Thing", "run", "self", "first", "rest", "options", "state", "each", "opened"]
    )


def test_parts_of_a_name() -> None:
    assert [parts(name) for name in ("_told_ms", "ToldMs", "TOLD_MS", "HTTPServer2")] == [
        ["told", "ms"],
        ["told", "ms"],
        ["told", "ms"],
        ["http", "server", "2"],
    ]
