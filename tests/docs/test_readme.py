"""What a newcomer sees first: README says what it is, shows the way of the data, and has the two commands."""

from pathlib import Path
from typing import Final

import pytest

README: Final = Path(__file__).parents[2] / "README.md"
FIRST_LINES: Final = 80


@pytest.fixture(scope="module")
def beginning() -> list[str]:
    """The first lines of README."""
    return README.read_text(encoding="utf-8").splitlines()[:FIRST_LINES]


@pytest.mark.parametrize("command", ["make run", "make test"])
def test_the_first_lines_have_both_commands(beginning: list[str], command: str) -> None:
    """A command stands on a line of its own, to be copied."""
    assert any(line.strip().startswith(f"{command} ") for line in beginning)


@pytest.mark.parametrize("topic", ["[chat-events]", "[wallet-inputs]", "[ledger]"])
def test_the_first_lines_show_the_way_of_the_data(beginning: list[str], topic: str) -> None:
    """The picture holds the topics between the stages."""
    assert any(topic in line for line in beginning)


def test_the_first_lines_explain_ten_words(beginning: list[str]) -> None:
    """The table of words has ten rows below its head."""
    rows = [line for line in beginning if line.startswith("| ")]
    assert rows[0] == "| word | meaning |"
    assert len(rows) == 1 + 10
