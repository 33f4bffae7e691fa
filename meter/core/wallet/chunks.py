"""Chunks: the lists that can be long, the units of a conversation and the lapses of a lot, in parts of bounded size.

Both lists change only at their end. So a checkpoint writes the chunks from the first changed row on.
"""

from collections.abc import Sequence
from typing import Final, TypeVar

from meter.core.wallet.billed_conversations import Unit

T = TypeVar("T")

CHUNK_ROWS: Final = 64
"""How many rows a chunk has. A row is a lapse, or a part of a unit: its names are limited, and so are its bytes."""


def rows_of(units: tuple[Unit, ...]) -> int:
    """How many rows the units are in chunks: one for each lot that paid a part, or one if none did."""
    return sum(len(unit.parts) or 1 for unit in units)


def fit_inline(units: tuple[Unit, ...]) -> bool:
    """Whether the units are few enough to be in the entry of their conversation, and not in chunks."""
    if len(units) <= 1:  # As nearly always.
        return not units or len(units[0].parts) <= CHUNK_ROWS
    return len(units) <= CHUNK_ROWS and rows_of(units) <= CHUNK_ROWS


def chunks_of(rows: int) -> int:
    """How many chunks so many rows fill."""
    return -(-rows // CHUNK_ROWS)


def chunk(rows: Sequence[T], number: int) -> Sequence[T]:
    """The rows of a chunk of a list; none if it has no such chunk."""
    return rows[number * CHUNK_ROWS : (number + 1) * CHUNK_ROWS]


def changed_chunks(before: int, lowest: int, now: int) -> range:
    """The chunks that changed or ended: rows below `lowest` are the same; there were `before` of them and are `now`."""
    return range(lowest // CHUNK_ROWS, chunks_of(max(before, now)))
