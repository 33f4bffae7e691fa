"""ClickHouse in memory: tables that replace rows by key and version, and that can be away."""

from random import Random
from typing import Any

from clickhouse_connect.driver.exceptions import OperationalError

from aggregator.core.holdings import HOLDING_TABLES
from aggregator.core.rows import Block
from aggregator.core.tables import TABLES
from tests.simulation.process import Process

Row = dict[str, Any]

_KEYS = {table.name: table.key for table in (*TABLES, *HOLDING_TABLES)}


class Store:
    """The tables. Of the rows of a key the highest version stands, of equal ones the one written last."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.away = False
        self.inserts = 0
        self._rows: dict[str, dict[tuple[Any, ...], Row]] = {table: {} for table in _KEYS}

    def insert(self, block: Block) -> None:
        """Write a block. Raises when ClickHouse is away; the block may have been written all the same."""
        if self.away and self.rng.random() < 0.7:
            raise OperationalError("connection refused")
        rows = self._rows[block.table]
        for cells in zip(*block.columns, strict=True):
            row = dict(zip(block.names, cells, strict=True))
            key = tuple(row[column] for column in _KEYS[block.table])
            if key not in rows or row["version"] >= rows[key]["version"]:
                rows[key] = row
        self.inserts += 1
        if self.away:
            raise OperationalError("connection lost while waiting for the answer")

    def rows(self, table: str) -> list[Row]:
        """The rows that stand."""
        return list(self._rows[table].values())


class Handle:
    """One process's way to the tables."""

    def __init__(self, store: Store, process: Process) -> None:
        self._store = store
        self._process = process

    def insert(self, block: Block) -> None:
        """As the product's handle. A process may end before the block is written, or before it knows."""
        self._process.thread_step()
        self._store.insert(block)
        self._process.thread_step()
