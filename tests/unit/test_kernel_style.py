"""Holds the style of the C sources in `meter/kernel`: assertions, and the length of files, functions and lines.

Two assertions a function on average is TigerBeetle's rule: what a function needs and what it leaves behind is written
down where it runs, so that a wrong state ends the process before it reaches a checkpoint or a wallet.
"""

import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

KERNEL: Final = Path(__file__).parents[2] / "meter" / "kernel"
SOURCES: Final = sorted(KERNEL.glob("*.c"))
MIN_ASSERTIONS_A_FUNCTION: Final = 2
MAX_FILE_LINES: Final = 250
MAX_FUNCTION_LINES: Final = 60
MAX_LINE_CHARACTERS: Final = 120

_FUNCTION: Final = re.compile(r"^(?:[A-Za-z_][^;{}=#]*)\)\s*\{$.*?^\}$", re.MULTILINE | re.DOTALL)
"""A definition begins in the first column and ends at a brace in the first column."""
_ASSERTION: Final = re.compile(r"^\s+KERNEL_ASSERT(?:_SLOW)?\(", re.MULTILINE)
_VACUOUS: Final = re.compile(r"KERNEL_ASSERT(?:_SLOW)?\((?:true|1|false|0)\)")


def functions(text: str) -> list[str]:
    """The definitions of functions in a C file."""
    return _FUNCTION.findall(text)


def test_a_function_has_two_assertions_on_average() -> None:
    texts = [path.read_text() for path in SOURCES]
    defined = sum(len(functions(text)) for text in texts)
    asserted = sum(len(_ASSERTION.findall(text)) for text in texts)
    assert defined > 200, "the pattern does not find the functions"
    assert asserted >= MIN_ASSERTIONS_A_FUNCTION * defined


def test_no_file_is_without_assertions() -> None:
    assert [path.name for path in SOURCES if not _ASSERTION.search(path.read_text())] == []


def test_no_assertion_is_a_constant() -> None:
    assert [path.name for path in SOURCES if _VACUOUS.search(path.read_text())] == []


def test_files_are_short() -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in [*SOURCES, *KERNEL.glob("*.h")]}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FILE_LINES} == {}


def test_functions_are_short() -> None:
    long = [
        f"{path.name}: {each.split('(')[0]}"
        for path in SOURCES
        for each in functions(path.read_text())
        if each.count("\n") + 1 > MAX_FUNCTION_LINES
    ]
    assert long == []


def test_lines_are_short() -> None:
    long = [
        f"{path.name}:{number}"
        for path in [*SOURCES, *KERNEL.glob("*.h")]
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > MAX_LINE_CHARACTERS
    ]
    assert long == []


def test_every_file_says_what_it_owns() -> None:
    heads = {path.name: path.read_text().split("*/")[0] for path in SOURCES}
    assert [name for name, head in heads.items() if not head.startswith("/* ") or "Owns " not in head] == []


_NAME: Final = re.compile(r"(\w+)\([^()]*(?:\([^()]*\)[^()]*)*\)\s*\{$", re.MULTILINE)


def calls_between(texts: Mapping[str, str]) -> dict[str, set[str]]:
    """Of each C file, the other files that define a function which it calls. Static functions are a file's own."""
    exported = {
        name.group(1): file
        for file, text in texts.items()
        for each in functions(text)
        if not each.lstrip().startswith("static") and (name := _NAME.search(each.split("\n}")[0].split("{")[0] + "{"))
    }
    return {
        file: {exported[word] for word in re.findall(r"\b(\w+)\(", text) if exported.get(word, file) != file}
        for file, text in texts.items()
    }


def test_files_do_not_call_one_another_in_a_circle() -> None:
    calls = calls_between({path.name: path.read_text() for path in SOURCES})
    assert "timers.c" in calls["conversations.c"], "the pattern does not find the calls"
    list(TopologicalSorter(calls).static_order())


def test_a_circle_of_calls_is_found() -> None:
    texts = {"a.c": "int one(void) {\n    return two();\n}\n", "b.c": "int two(void) {\n    return one();\n}\n"}
    with pytest.raises(CycleError):
        list(TopologicalSorter(calls_between(texts)).static_order())
