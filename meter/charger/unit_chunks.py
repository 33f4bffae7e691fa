"""The units of a long conversation as rows of chunks, and back.

A unit that several lots paid takes a row for each, so that a chunk is small however many lots paid.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter

from meter.core.wallet.billed_conversations import Unit
from meter.core.wallet.chunks import changed_chunks, chunk, chunks_of, fit_inline, rows_of
from meter.core.wallet.touched import Tail


class UnitChunks:
    """Chunks of conversations. The rows of the last one are kept: its chunks are asked for one after another."""

    def __init__(self) -> None:
        self._units: tuple[Unit, ...] = ()
        self._rows: Sequence[Unit] = ()

    def chunk(self, units: tuple[Unit, ...], number: int) -> Sequence[Unit]:
        """The rows of a chunk; none if the units have no such chunk."""
        if fit_inline(units):
            return ()
        if self._units is not units:
            self._units, self._rows = units, list(_rows(units))
        return chunk(self._rows, number)


def _rows(units: Iterable[Unit]) -> Iterator[Unit]:
    for unit in units:
        if len(unit.parts) <= 1:
            yield unit
        else:
            yield from (Unit(unit.unit_id, unit.at_ms, (part,), unit.day) for part in unit.parts)


def units_of(rows: Iterable[Unit]) -> tuple[Unit, ...]:
    """The units of a conversation, from the rows of all its chunks in their order."""
    return tuple(map(_joined, (list(some) for _, some in groupby(rows, attrgetter("unit_id")))))


def _joined(rows: list[Unit]) -> Unit:
    first = rows[0]
    return Unit(first.unit_id, first.at_ms, tuple(part for row in rows for part in row.parts), first.day)


def changed_unit_chunks(units: tuple[Unit, ...], changed: Tail) -> range:
    """The chunks that changed or ended, of a conversation that has these units now."""
    before, lowest = changed
    if fit_inline(units):
        return range(chunks_of(before))
    return changed_chunks(before, rows_of(units[:lowest]), rows_of(units))
