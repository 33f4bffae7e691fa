"""One name for one concept: retired identifiers and file names do not come back."""

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

import pytest

from tests.style.names import EXACT, FILES, PARTS, Name
from tests.style.sources import Fault, Source, defined_names, hold, parts, product, suite


def retired_names(source: Source) -> Iterator[Fault]:
    """An identifier that the file defines and that `names.py` has retired; one fault an identifier and line."""
    exact = {each.name: each for each in EXACT if _holds_in(each, source.path)}
    words = {each.name: each for each in PARTS if _holds_in(each, source.path)}
    for name, line in defined_names(source.tree):
        retired = next(filter(None, [exact.get(name.strip("_")), *map(words.get, parts(name))]), None)
        if retired is not None:
            yield Fault(source.path, line, f"`{name}` is a retired name", f"write {retired.instead}")


def _holds_in(name: Name, path: str) -> bool:
    return path.startswith(name.within) and not path.startswith(name.except_in)


def retired_files(paths: Iterable[str]) -> Iterator[Fault]:
    """A file with a name that `names.py` has retired."""
    for path in paths:
        instead = FILES.get(PurePosixPath(path).name)
        if instead is not None:
            yield Fault(path, 1, "the file has a retired name", f"call it {instead}")


def test_retired_names_are_not_defined_in_the_product() -> None:
    hold(fault for source in product(".py", ".pyi") for fault in retired_names(source))


def test_retired_file_names_are_not_used() -> None:
    sources = [*product(".py", ".pyi", ".c", ".h"), *suite(".py")]
    hold(retired_files(source.path for source in sources))


def test_a_retired_class_parameter_variable_or_field_is_found() -> None:
    text = "class Page: ...\ndef take(self, told_ms, account): ...\nself._appointments = {}\nfrom x import y as WHATS\n"
    found = list(retired_names(Source("meter/core/a.py", text)))
    assert sorted(fault.problem.split("`")[1] for fault in found) == [
        "Page",
        "WHATS",
        "_appointments",
        "account",
        "take",
        "told_ms",
    ]
    (page,) = [fault for fault in found if fault.line == 1]
    assert str(page) == "meter/core/a.py:1: `Page` is a retired name; write LedgerUpdate"


@pytest.mark.parametrize("retired", [*EXACT, *PARTS], ids=lambda retired: retired.name)
def test_every_retired_name_is_found_where_it_is_forbidden(retired: Name) -> None:
    for folder in retired.within:
        (fault,) = retired_names(Source(f"{folder}a.py", f"{retired.name} = 1\n"))
        assert fault.instead.startswith("write ")


def test_a_name_is_retired_only_where_its_rule_holds() -> None:
    claim, round_ = "class Claim: ...\n", "round_s = 1\n"
    assert list(retired_names(Source("schemas/replays.py", claim))) == []
    assert len(list(retired_names(Source("aggregator/core/a.py", claim)))) == 1
    assert list(retired_names(Source("aggregator/reconciliation/a.py", round_))) == []
    assert len(list(retired_names(Source("meter/a.py", round_)))) == 1


def test_a_name_that_only_contains_a_retired_one_passes() -> None:
    text = "replaced = attended = dialog = LogLevel = mistake = 1\nfrom x import Page\nprint(told)\n"
    assert list(retired_names(Source("meter/core/a.py", text))) == []


def test_a_retired_file_name_is_found() -> None:
    (fault,) = retired_files(["meter/kernel/take.c", "meter/kernel/ingest.c"])
    assert str(fault) == "meter/kernel/take.c:1: the file has a retired name; call it ingest.c"
