"""Read-only SQL for analysts, on a ClickHouse server or on a data directory's own engine."""

import fcntl
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

from schemas.places import LOCK_FILE

CLICKHOUSE_DIR: Final = "clickhouse"
"""Where, under a data directory, the embedded ClickHouse keeps its tables."""

# What ClickHouse does not count as writing.
_WRITES_FILE: Final = re.compile(r"\bINTO\s+OUTFILE\b", re.IGNORECASE)
_LITERAL: Final = re.compile(r"'(?:[^'\\]|\\.)*'")

_READ_ONLY: Final = {"readonly": 1}


class SqlError(Exception):
    """The query cannot be answered; the message says why and what to do."""


def data_dsn(data: Path) -> str:
    """The DSN of a data directory's embedded engine."""
    return f"chdb://{(data / CLICKHOUSE_DIR).resolve()}"


def query(dsn: str, sql: str, output_format: str) -> bytes:
    """The answer to one SELECT in a ClickHouse format such as CSVWithNames. Raises SqlError; nothing can be changed."""
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
    if _WRITES_FILE.search(_LITERAL.sub("''", sql)):
        raise SqlError("INTO OUTFILE would write a file, and `meter sql` only reads: redirect its output instead")
    with _owned(dsn):
        return _answer(dsn, sql, output_format)


def _answer(dsn: str, sql: str, output_format: str) -> bytes:
    client = _connect(dsn)
    try:
        return bytes(client.raw_query(sql, fmt=output_format, settings=_READ_ONLY))
    except ClickHouseError as error:
        advice = " (`meter sql` only reads)" if "readonly" in str(error).lower() else ""
        raise SqlError(f"ClickHouse refuses the query{advice}: {_first_line(error)}") from error
    finally:
        client.close()


def query_data(data: Path, sql: str, output_format: str) -> bytes:
    """The same on a data directory. Raises SqlError where there is none, or where another process has it."""
    if not (data / CLICKHOUSE_DIR).is_dir():
        raise SqlError(
            f"{data} holds no metered data: run `python -m meter run --data {data} --feed FILE --once` first"
        )
    return query(data_dsn(data), sql, output_format)


@contextmanager
def _owned(dsn: str) -> Iterator[None]:
    """Hold an embedded engine's directory: one process at a time may open it."""
    if not dsn.startswith("chdb://"):
        yield
        return
    lock_file = _directory(dsn) / LOCK_FILE
    try:
        lock = lock_file.open("a+")
    except OSError as error:
        raise SqlError(
            f"{lock_file.parent} is not a data directory: give the DIR that `meter run` was given"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            raise SqlError(f"{lock_file.parent} is in use by another process (pid {owner}): stop it first") from None
        yield


def _directory(dsn: str) -> Path:
    return Path("/" + dsn.removeprefix("chdb://").lstrip("/"))


def _connect(dsn: str) -> Any:
    try:
        if dsn.startswith("chdb://"):
            return clickhouse_connect.get_client(interface="chdb", path=str(_directory(dsn)))
        return clickhouse_connect.get_client(dsn=dsn, connect_timeout=5)
    except OperationalError as error:
        raise SqlError(f"ClickHouse does not answer at {_shown(dsn)}: start it, or set CLICKHOUSE_DSN") from error
    except ClickHouseError as error:
        raise SqlError(f"ClickHouse at {_shown(dsn)} cannot be used: {_first_line(error)}") from error


def _shown(dsn: str) -> str:
    """A DSN without what may be a password."""
    return dsn.partition("://")[2].rpartition("@")[2]


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
