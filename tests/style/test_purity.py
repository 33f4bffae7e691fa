"""The pure rooms call nothing that reads a clock, draws a number or opens a file.

The import contracts forbid the modules that do such things; these calls need no import, or hide in one that is allowed.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PURE: Final = ("meter/core", "aggregator/core")
IMPURE: Final = frozenset({"now", "utcnow", "today", "open", "input", "print", "exec", "eval", "__import__"})


def impure_calls(text: str) -> Iterator[str]:
    """`LINE: NAME` of each call by one of the names that a pure room must not call."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in IMPURE:
                yield f"{node.lineno}: {name}"


def test_the_cores_read_no_clock_and_open_no_file() -> None:
    files = [path for room in PURE for path in sorted((ROOT / room).rglob("*.py"))]
    assert len(files) > 20
    assert {str(path): found for path in files if (found := list(impure_calls(path.read_text())))} == {}


def test_an_impure_call_is_found() -> None:
    assert list(impure_calls("import datetime\nat = datetime.datetime.now()\nopen('x')\n")) == ["2: now", "3: open"]
