"""Every module, public class and public function has a docstring, which begins with a verb or a noun phrase."""

import ast
from collections.abc import Iterable, Iterator
from typing import Final

from tests.style.sources import Definition, Fault, Function, Source, hold, product, suite

OPENINGS: Final = {"What", "Who", "Whose", "Whoever", "Whatever", "Which", "That", "And", "Or", "Nor", "But", "So"}
"""First words of a docstring that make the reader wait for its subject."""

PROTOCOL: Final = "Protocol"


def modules_without(source: Source) -> Iterator[Fault]:
    """A module without a docstring, package files included."""
    if ast.get_docstring(source.tree) is None:
        yield Fault(source.path, 1, "the module has no docstring", "say in one line what it holds")


def definitions_without(source: Source, documented: frozenset[str] = frozenset()) -> Iterator[Fault]:
    """A public class or function without a docstring, of those that others can reach.

    Exempt: what begins with an underscore or stands inside a function; a property, whose name and type say it; and a
    method whose name is in `documented`, because the base class or the protocol that asks for it says what it does.
    """
    for name, node in reachable(source.tree.body):
        is_method = "." in name
        if ast.get_docstring(node) is not None or (is_method and (_is_property(node) or node.name in documented)):
            continue
        yield Fault(
            source.path, node.lineno, f"`{name}` has no docstring", "say what it does, when, and what it raises"
        )


def reachable(body: list[ast.stmt], within: str = "") -> Iterator[tuple[str, Definition]]:
    """Public classes and functions of a module or of a class, by qualified name."""
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield within + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from reachable(node.body, f"{within}{node.name}.")


def contracts(sources: Iterable[Source]) -> frozenset[str]:
    """Names of methods that have a docstring in a protocol, or in a class that others of these sources derive from."""
    classes = [node for source in sources for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef)]
    bases = {_last_name(base) for node in classes for base in node.bases}
    return frozenset(
        method.name
        for node in classes
        if node.name in bases or PROTOCOL in map(_last_name, node.bases)
        for method in node.body
        if isinstance(method, Function) and ast.get_docstring(method) is not None
    )


def _last_name(base: ast.expr) -> str:
    """`Protocol` of `Protocol`, `typing.Protocol` and `Protocol[T]`."""
    if isinstance(base, ast.Subscript):
        return _last_name(base.value)
    return base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""


def _is_property(node: Definition) -> bool:
    return any(_last_name(decorator) in ("property", "cached_property") for decorator in node.decorator_list)


def inverted_openings(source: Source) -> Iterator[Fault]:
    """A docstring of a module, class or function whose first word is one of `OPENINGS`, private ones included."""
    for node in ast.walk(source.tree):
        if not isinstance(node, (ast.Module, Definition)):
            continue
        text = ast.get_docstring(node) or ""
        first = text.split(maxsplit=1)[0].strip("`,.:;") if text.strip() else ""
        if first in OPENINGS:
            line = node.body[0].lineno
            yield Fault(source.path, line, f"a docstring begins with `{first}`", "begin with a verb or a noun phrase")


def test_every_module_of_the_product_has_a_docstring() -> None:
    hold(fault for source in product(".py", ".pyi") for fault in modules_without(source))


def test_every_module_of_the_tests_has_a_docstring() -> None:
    hold(fault for source in suite(".py") for fault in modules_without(source))


def test_public_classes_and_functions_of_the_product_have_docstrings() -> None:
    sources = product(".py")
    documented = contracts(sources)
    hold(fault for source in sources for fault in definitions_without(source, documented))


def test_docstrings_of_the_product_begin_with_their_subject() -> None:
    hold(fault for source in product(".py", ".pyi") for fault in inverted_openings(source))


def test_a_module_without_docstring_is_found() -> None:
    assert list(modules_without(Source("a.py", '"""A."""\n'))) == []
    assert [fault.line for text in ("", "x = 1\n") for fault in modules_without(Source("a.py", text))] == [1, 1]


BARE: Final = '''
class Port(Protocol):
    def read(self) -> int:
        """Contract."""
    @property
    def is_open(self) -> bool: ...

class File(Port):
    def read(self) -> int: ...
    def write(self) -> None: ...
    def _flush(self) -> None: ...
    def __len__(self) -> int: ...

class _Private:
    def read(self) -> int: ...

def outer():
    def inner(): ...
'''


def test_a_public_definition_without_docstring_is_found() -> None:
    source = Source("a.py", BARE)
    found = list(definitions_without(source, contracts([source])))
    assert [fault.problem.split("`")[1] for fault in found] == ["Port", "File", "File.write", "outer"]
    assert str(found[0]) == "a.py:2: `Port` has no docstring; say what it does, when, and what it raises"


def test_a_contract_is_a_documented_method_of_a_protocol_or_base() -> None:
    text = (
        'class A:\n    def f(self):\n        """F."""\n    def g(self): ...\n'
        'class B(A):\n    def h(self):\n        """H."""\n'
    )
    assert contracts([Source("a.py", text), Source("b.py", BARE)]) == {"f", "read"}


def test_an_inverted_docstring_is_found() -> None:
    text = (
        '"""What leaves."""\n'
        'class A:\n    """And then."""\n    def _f(self):\n        """Whatever, it is."""\n'
        '    def g(self):\n        """Read."""\n'
    )
    found = sorted(inverted_openings(Source("a.py", text)))
    assert [fault.line for fault in found] == [1, 3, 5]
    assert str(found[0]) == "a.py:1: a docstring begins with `What`; begin with a verb or a noun phrase"
