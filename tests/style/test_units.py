"""Names of durations, sizes and money say their unit: `timeout_s`, `size_bytes`, `price_micros`."""

import ast
from collections.abc import Iterator
from typing import Final

from tests.style.sources import Fault, Function, Source, hold, parts, product

UNITS: Final = {
    "timeout": "timeout_s",
    "interval": "interval_s",
    "delay": "delay_s",
    "age": "age_ms",
    "duration": "duration_ms",
    "wait": "wait_s",
    "horizon": "horizon_ms",
    "gap": "gap_ms",
    "latency": "latency_s",
    "size": "size_bytes",
    "memory": "memory_bytes",
    "price": "price_micros",
    "amount": "amount_micros` or `bytes_count",
    "cost": "cost_micros",
    "balance": "balance_micros",
}
"""The last word of a name that lacks a unit, and an example of a name that has one."""

ALLOWED: Final = {
    ("meter/kafka/transport.py", "timeout"): "Faust calls `getmany` and its own methods with this name",
    ("meter/kafka/records.py", "size"): "aiokafka asks a batch for its size by this name",
}
"""(file, name) that may lack its unit, and the reason."""


def names_without_unit(source: Source) -> Iterator[Fault]:
    """A parameter, field, variable, constant or function that is a number, and whose name ends without its unit."""
    for name, line in numbers(source.tree):
        last = (parts(name) or [""])[-1]
        if last in UNITS and (source.path, name) not in ALLOWED:
            yield Fault(source.path, line, f"`{name}` does not say its unit", f"name it like `{UNITS[last]}`")


def numbers(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Names that are annotated as a number, return one, or are set to a literal one; each with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and _is_number(node.annotation):
            yield node.arg, node.lineno
        elif isinstance(node, ast.AnnAssign) and (_is_number(node.annotation) or _is_literal(node.value)):
            yield _name(node.target), node.lineno
        elif isinstance(node, ast.Assign) and _is_literal(node.value):
            yield from ((_name(target), node.lineno) for target in node.targets)
        elif isinstance(node, Function) and _is_number(node.returns):
            yield node.name, node.lineno


def _is_number(annotation: ast.expr | None) -> bool:
    """`int`, `float`, either or None, and these within `Final`, `ClassVar` and the like."""
    if isinstance(annotation, ast.Name):
        return annotation.id in ("int", "float")
    if isinstance(annotation, ast.BinOp):
        return _is_number(annotation.left) or _is_number(annotation.right)
    if isinstance(annotation, ast.Subscript) and isinstance(annotation.value, ast.Name):
        return annotation.value.id in ("Final", "ClassVar", "Annotated") and _is_number(_first(annotation.slice))
    return False


def _first(expression: ast.expr) -> ast.expr:
    return expression.elts[0] if isinstance(expression, ast.Tuple) else expression


def _is_literal(value: ast.expr | None) -> bool:
    """A number, or an operation on such: `64 * 1024`."""
    if isinstance(value, ast.BinOp):
        return _is_literal(value.left) and _is_literal(value.right)
    return isinstance(value, ast.Constant) and type(value.value) in (int, float)


def _name(target: ast.expr) -> str:
    if isinstance(target, ast.Attribute):
        return target.attr
    return target.id if isinstance(target, ast.Name) else ""


def test_numbers_of_the_product_say_their_unit() -> None:
    hold(fault for source in product(".py", ".pyi") for fault in names_without_unit(source))


def test_what_is_allowed_is_still_there() -> None:
    """An exception that nothing needs any more would hide the next fault."""
    names = {(source.path, name) for source in product(".py", ".pyi") for name, _ in numbers(source.tree)}
    assert set(ALLOWED) <= names


def test_a_name_without_unit_is_found() -> None:
    text = (
        "MAX_SIZE = 64 * 1024\n"
        "DELAY: Final = 0.5\n"
        "WAIT: Final[float] = read()\n"
        "class A:\n    price: int | None = None\n"
        "def f(timeout: float, *, amount: int = 0) -> None: ...\n"
        "def age() -> int: ...\n"
    )
    found = sorted(names_without_unit(Source("a.py", text)))
    assert [fault.line for fault in found] == [1, 2, 3, 5, 6, 6, 7]
    assert str(found[0]) == "a.py:1: `MAX_SIZE` does not say its unit; name it like `size_bytes`"


def test_a_name_with_unit_or_that_is_no_number_passes() -> None:
    text = (
        "SIZE_BYTES = 1\nsize = len('x')\ndef f(timeout_s: float, size: str, image: int, ages: list[int]) -> str: ...\n"
    )
    assert list(names_without_unit(Source("a.py", text))) == []
