"""Files and functions have a bounded length, so that each can be read in one go."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from tests.style.sources import Fault, Function, Source, hold, line_at, product, suite

PRODUCT_FILE_LINES: Final = 250
TEST_FILE_LINES: Final = 340
FUNCTION_LINES: Final = 60

C_FUNCTION: Final = re.compile(
    r"^(?!typedef\b)(?:[A-Za-z_\[][^;{}=#]*)\)\s*(?:/\*.*?\*/\s*)?\{$.*?^\}$", re.MULTILINE | re.DOTALL
)
C_NAME: Final = re.compile(r"(\w+)\(")


def long_files(source: Source, most_lines: int) -> Iterator[Fault]:
    """A file with more lines than that."""
    lines = source.text.count("\n")
    if lines > most_lines:
        yield Fault(source.path, most_lines + 1, f"{lines} lines, at most {most_lines}", "split it by subject")


def functions(source: Source) -> Iterator[tuple[str, int, int]]:
    """Name, first line and number of lines of each function, of Python or of C."""
    if source.is_python:
        for node in ast.walk(source.tree):
            if isinstance(node, Function):
                yield node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1
        return
    for found in C_FUNCTION.finditer(source.text):
        name = C_NAME.search(found.group())
        yield name.group(1) if name else "?", line_at(source.text, found.start()), found.group().count("\n") + 1


def long_functions(source: Source, most_lines: int = FUNCTION_LINES) -> Iterator[Fault]:
    """A function with more lines than that, from its `def` to its last line."""
    for name, line, lines in functions(source):
        if lines > most_lines:
            yield Fault(source.path, line, f"`{name}` has {lines} lines, at most {most_lines}", "split it by step")


def test_files_of_the_product_are_short() -> None:
    sources = product(".py", ".pyi", ".c", ".h", ".sql")
    hold(fault for source in sources for fault in long_files(source, PRODUCT_FILE_LINES))


def test_files_of_the_tests_are_short() -> None:
    hold(fault for source in suite(".py") for fault in long_files(source, TEST_FILE_LINES))


def test_functions_of_the_product_are_short() -> None:
    hold(fault for source in product(".py", ".c", ".h") for fault in long_functions(source))


def test_a_long_file_is_found() -> None:
    assert list(long_files(Source("a.py", "x = 1\n" * 3), 3)) == []
    (fault,) = long_files(Source("a.py", "x = 1\n" * 4), 3)
    assert str(fault) == "a.py:4: 4 lines, at most 3; split it by subject"


def test_a_long_python_function_is_found() -> None:
    source = Source("a.py", "class A:\n    async def f(self):\n        a = 1\n        b = 2\n\n    def g(self): ...\n")
    assert list(functions(source)) == [("f", 2, 3), ("g", 6, 1)]
    (fault,) = long_functions(source, 2)
    assert str(fault) == "a.py:2: `f` has 3 lines, at most 2; split it by step"


def test_a_long_c_function_is_found() -> None:
    text = (
        "typedef struct {\n    int a;\n} a;\nint one(void);\nstatic int two(int a,\n    int b) {\n    return f(a);\n}\n"
    )
    source = Source("a.c", text)
    assert list(functions(source)) == [("two", 5, 4)]
    (fault,) = long_functions(source, 3)
    assert str(fault) == "a.c:5: `two` has 4 lines, at most 3; split it by step"
