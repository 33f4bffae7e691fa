"""Read-only SQL for analysts, on a ClickHouse server or on the embedded engine of a data directory."""

import re
from typing import Final

from clickhouse_connect.driver.exceptions import ClickHouseError

from aggregator.clickhouse.client import ClickHouse, address_of

# ClickHouse does not count this as writing, so its read-only mode lets it pass.
_WRITES_FILE: Final = re.compile(r"\bINTO\s+OUTFILE\b", re.IGNORECASE)
_LITERAL: Final = re.compile(r"'(?:[^'\\]|\\.)*'")

_READ_ONLY: Final = {"readonly": 1}


class QueryError(Exception):
    """The query cannot be answered; the message says why and what to do."""


def query(dsn: str, sql: str, output_format: str) -> bytes:
    """The answer to one SELECT, in a ClickHouse format such as CSVWithNames. The query cannot change anything.

    Raises QueryError, ClickHouseAwayError if no server answers, and DirectoryTakenError if another process has the
    directory of an embedded engine open.
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
