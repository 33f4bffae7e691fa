"""What the product imports is what it declares: an installation without the tools of development runs."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
OURS: Final = ("schemas", "meter", "aggregator")

EXTRAS: Final = {
    "rocksdict": ("spill", "meter/sessionizer/spill/"),
    "stripe": ("stripe", "meter/payments/stripe_gateway.py"),
}
"""Packages of an extra: the extra, and the only folder that may import it."""

LOADED_BY_NAME: Final = {
    "chdb": "clickhouse-connect imports it for the interface `chdb`",
    "cramjam": "schemas/codecs.py names it, so that a command can say that it is missing",
    "tzdata": "zoneinfo reads it where the machine has no time zones",
    "uharfbuzz": "fpdf2 imports it to join letters and to order right-to-left text",
}
"""Dependencies that no module of ours imports, and why they are needed all the same."""


def normal(name: str) -> str:
    """A distribution's name as the registry compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    """The names of the packages that requirements ask for."""
    return {normal(re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0]) for requirement in requirements}


def imported(source: str) -> Iterator[str]:
    """The packages that a module's text imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def imports() -> Iterator[tuple[str, str]]:
    """Every package from outside that a file of the product imports, as (package, path of the file)."""
    for folder in OURS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for package in imported(path.read_text(encoding="utf-8")):
                if package not in sys.stdlib_module_names and package not in OURS:
                    yield package, path.relative_to(ROOT).as_posix()


PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DECLARED: Final = names(PROJECT["dependencies"])
DISTRIBUTIONS: Final = packages_distributions()


def declares(package: str, declared: set[str]) -> bool:
    """Whether one of the distributions that bring a package is declared."""
    return any(normal(name) in declared for name in DISTRIBUTIONS.get(package, [package]))


def test_every_import_is_a_declared_dependency() -> None:
    """A package that is there only because another one needs it is to be declared as well."""
    undeclared = {(package, path) for package, path in imports() if not declares(package, DECLARED)}
    assert {(package, path) for package, path in undeclared if package not in EXTRAS} == set()


def test_a_package_of_an_extra_is_imported_in_its_folder_only() -> None:
    """Everything else runs without the extra."""
    for package, (extra, folder) in EXTRAS.items():
        paths = {path for name, path in imports() if name == package}
        assert declares(package, names(PROJECT["optional-dependencies"][extra])), package
        assert paths, package
        assert {path for path in paths if not path.startswith(folder)} == set()


def test_every_declared_dependency_is_imported() -> None:
    """What nothing imports any more is not to be downloaded."""
    used = {normal(name) for package, _ in imports() for name in DISTRIBUTIONS.get(package, [package])}
    assert DECLARED - used == set(LOADED_BY_NAME)


def test_an_import_inside_a_function_is_seen() -> None:
    """The check can see; a relative import is the product's own."""
    assert list(imported("from . import x\ndef f() -> None:\n    import yaml.nodes\n    from rich import box\n")) == [
        "yaml",
        "rich",
    ]
