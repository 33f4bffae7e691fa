"""Whether the cells of a block fit the types of their columns. Asked only after an insert has failed."""

from typing import Final

from aggregator.core.rows import Block

_RANGES: Final = {
    "Int32": range(-(2**31), 2**31),
    "Int64": range(-(2**63), 2**63),
    "UInt64": range(2**64),
    "Nullable(UInt64)": range(2**64),
    "Date": range(2**16),
    "DateTime64(3, 'UTC')": range(-(2**63), 2**63),
}
"""By ClickHouse type: the integers that a column can hold. The other types take all that is decoded for them."""


def why_unfit(block: Block) -> str | None:
    """Return the first cell that no column of its type can hold, in words; None if all fit."""
    for name, column_type, cells in zip(block.names, block.types, block.columns, strict=True):
        allowed = _RANGES.get(column_type)
        for cell in cells:
            if allowed is not None and isinstance(cell, int) and cell not in allowed:
                return f"{name} {cell} does not fit the column {block.table}.{name}, which is {column_type}"
    return None
