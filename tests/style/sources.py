"""The files that have a style, and what people read in them: docstrings, comments, prose, names."""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).parents[2]
PRODUCT: Final = ("schemas", "meter", "aggregator")
NOT_OURS: Final = ("build", "data", "__pycache__")

C_COMMENT: Final = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
SQL_COMMENT: Final = re.compile(r"--[^\n]*")
COMMENTS: Final = {".c": C_COMMENT, ".h": C_COMMENT, ".sql": SQL_COMMENT}
FENCE: Final = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
INDENTED_CODE: Final = re.compile(r"(?:(?<=\n\n)|\A)(?: {4}[^\n]*\n?|\n(?= {4}))+")
CODE: Final = re.compile(r"`+[^`\n]+`+")

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Fault(NamedTuple):
    """One violation of one rule."""

    path: str
    line: int
    problem: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.problem}; {self.instead}"


class Text(NamedTuple):
    """A piece of prose and the number of its first line."""

    line: int
    text: str


@dataclass(frozen=True)
class Source:
    """One file. `path` is relative to the root, with slashes: rules for a part of the tree go by it."""

    path: str
    text: str

    @property
    def suffix(self) -> str:
        return Path(self.path).suffix

    @property
    def is_python(self) -> bool:
        return self.suffix in (".py", ".pyi")

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax of a Python file."""
        return ast.parse(self.text)

    @cached_property
    def prose(self) -> list[Text]:
        """Docstrings and comments of code, text of Markdown; code spans and blocks of code are left out."""
        if self.is_python:
            texts = [*docstrings(self.tree), *_python_comments(self.text)]
        elif self.suffix == ".md":
            texts = [Text(1, _without_code(self.text))]
        else:
            texts = _matches(COMMENTS[self.suffix], self.text)
        return [Text(line, CODE.sub(_blank, text)) for line, text in texts]


def docstrings(tree: ast.Module) -> Iterator[Text]:
    """Every string that is a statement of its own: docstrings of modules, classes, functions and attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield Text(node.lineno, node.value.value)


def _python_comments(text: str) -> Iterator[Text]:
    """Comments, those of successive lines as one: a phrase may go on in the next line."""
    block = Text(0, "")
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        line = token.start[0]
        if block.text and line == block.line + block.text.count("\n") + 1:
            block = Text(block.line, f"{block.text}\n{token.string}")
            continue
        if block.text:
            yield block
        block = Text(line, token.string)
    if block.text:
        yield block


def _matches(pattern: re.Pattern[str], text: str) -> list[Text]:
    return [Text(line_at(text, found.start()), found.group()) for found in pattern.finditer(text)]


def _without_code(markdown: str) -> str:
    """The same number of lines, those of code blocks empty."""
    return INDENTED_CODE.sub(_blank, FENCE.sub(_blank, markdown))


def _blank(found: re.Match[str]) -> str:
    return "\n" * found.group().count("\n") or " "


def line_at(text: str, at: int) -> int:
    """The number of the line that character `at` is in, from 1."""
    return text.count("\n", 0, at) + 1


def defined_names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every name that a file gives to something, with its line. Names that it imports or only uses are not its own."""
    for node in ast.walk(tree):
        if isinstance(node, Definition):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname, node.lineno


def parts(name: str) -> list[str]:
    """The words of an identifier in lower case: `_told_ms` and `ToldMs` have the same."""
    return [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]


def _files(folder: Path, suffixes: tuple[str, ...]) -> Iterator[Source]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in NOT_OURS:
            continue
        if path.is_dir():
            yield from _files(path, suffixes)
        elif path.suffix in suffixes:
            yield Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))


def product(*suffixes: str) -> list[Source]:
    """The files of the product that end so."""
    return [source for folder in PRODUCT for source in _files(ROOT / folder, suffixes)]


def suite(*suffixes: str) -> list[Source]:
    """The files of the tests that end so."""
    return list(_files(ROOT / "tests", suffixes))


def documents() -> list[Source]:
    """Every Markdown file of the project."""
    return list(_files(ROOT, (".md",)))


def hold(faults: Iterable[Fault]) -> None:
    """Fail the test with a line for each fault, in the order of files and lines."""
    found = sorted(faults)
    if found:
        pytest.fail("\n".join(["", *map(str, found), f"{len(found)} faults"]), pytrace=False)
