"""Read-only SQL for analysts, on a ClickHouse server or on a data directory (chdb)."""

import re
from typing import Final

from clickhouse_connect.driver.exceptions import ClickHouseError

from aggregator.clickhouse.client import ClickHouse, address_of

# The read-only mode of ClickHouse protects tables. It does not keep a query from writing a file.
_WRITES_FILE: Final = re.compile(r"\bINTO\s+OUTFILE\b", re.IGNORECASE)
_LITERAL: Final = re.compile(r"'(?:[^'\\]|\\.)*'")

_READ_ONLY: Final = {"readonly": 1}


class QueryError(Exception):
    """The query cannot be answered. The message is one sentence with the reason."""


def query(dsn: str, sql: str, output_format: str) -> bytes:
    """Run one SELECT and return the answer in a ClickHouse format such as CSVWithNames. Nothing can be changed.

    Raises QueryError if ClickHouse refuses the query, ClickHouseAwayError if no server answers, and DirectoryTakenError
    if another process uses the data directory.
    """
    if _WRITES_FILE.search(_LITERAL.sub("''", sql)):
        raise QueryError("INTO OUTFILE would write a file, and this command only reads: redirect its output instead")
    directory = address_of(dsn).directory
    if directory is not None and not directory.is_dir():
        raise QueryError(f"{directory} is not a data directory: give the DIR that `meter run` was given")
    with ClickHouse(dsn) as clickhouse:
        try:
            return clickhouse.answer(sql, output_format, _READ_ONLY)
        except ClickHouseError as error:
            advice = " (this command only reads)" if "readonly" in str(error).lower() else ""
            raise QueryError(f"ClickHouse refuses the query{advice}: {str(error).strip().splitlines()[0]}") from error
