"""A ledger update as records of bounded size."""

from collections.abc import Iterator
from typing import Final

import msgspec

from schemas.ledger import LedgerUpdate, encode_ledger_update

PART_BYTES: Final = 4 * 1024 * 1024
"""The largest record that an update is written as, unless it has a single row. Names are limited, and so are rows."""

PART_ROWS: Final = 16_384
"""An update of more rows is divided before it is encoded, so that no more than a part is in memory as bytes."""


def encoded_parts(update: LedgerUpdate) -> Iterator[bytes]:
    """Encode an update as one record, or as several where it is larger than PART_BYTES.

    The parts have the same version, and each row is in one of them. Only the last one has the balance: a reader that
    has the balance of a version has all of its rows.
    """
    rows = len(update.entries) + len(update.conversations) + len(update.usage)
    if rows <= PART_ROWS:
        encoded = encode_ledger_update(update)
        if len(encoded) <= PART_BYTES or rows <= 1:
            yield encoded
            return
    first, rest = _halves(update)
    yield from encoded_parts(first)
    yield from encoded_parts(rest)


def _halves(update: LedgerUpdate) -> tuple[LedgerUpdate, LedgerUpdate]:
    """The first half of the rows without the balance, and the other half with it."""
    rows = len(update.entries) + len(update.conversations) + len(update.usage)
    first, rest = {}, {}
    left = rows // 2
    for name in ("entries", "conversations", "usage"):
        facts = getattr(update, name)
        first[name], rest[name] = facts[:left], facts[left:]
        left = max(0, left - len(facts))
    replace = msgspec.structs.replace
    return replace(update, balance=None, produced_ms=0, **first), replace(update, **rest)
