"""Pages: the lists that can be long, the units of a conversation and the lapses of a lot, in parts of bounded size.

Both lists change only at their end. So a checkpoint writes the pages from the first changed row on.
"""

from collections.abc import Sequence
from typing import Final, TypeVar

from meter.core.wallet.billed_conversations import Unit

T = TypeVar("T")

PAGE_ROWS: Final = 64
"""How many rows a page has. A row is a lapse, or a part of a unit: its names are limited, and so are its bytes."""


def rows_of(units: tuple[Unit, ...]) -> int:
    """How many rows the units are on pages: one for each lot that paid a part, or one if none did."""
    return sum(len(unit.parts) or 1 for unit in units)


def fit_inline(units: tuple[Unit, ...]) -> bool:
    """Whether the units are few enough to be in the entry of their conversation, and not on pages."""
    return len(units) <= PAGE_ROWS and rows_of(units) <= PAGE_ROWS


def pages_of(rows: int) -> int:
    """How many pages so many rows fill."""
    return -(-rows // PAGE_ROWS)


def page(rows: Sequence[T], number: int) -> Sequence[T]:
    """The rows of a page of a list; none if it has no such page."""
    return rows[number * PAGE_ROWS : (number + 1) * PAGE_ROWS]


def changed_pages(before: int, lowest: int, now: int) -> range:
    """The pages that changed or ended: rows below `lowest` are the same; there were `before` of them and are `now`."""
    return range(lowest // PAGE_ROWS, pages_of(max(before, now)))
