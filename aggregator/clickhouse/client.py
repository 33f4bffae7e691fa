"""One client for ClickHouse, opened from a DSN: for a server, or for the engine inside this process (chdb)."""

import atexit
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import clickhouse_connect
import msgspec
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError

from aggregator.clickhouse.directory_lock import DirectoryLock
from aggregator.clickhouse.engine_stderr import without_cgroups_trace
from aggregator.core.rows import Block

CONNECT_TIMEOUT_S: Final = 5
ANSWER_TIMEOUT_S: Final = 60
"""How long a server may take to accept a connection, and to send or receive. For chdb there is no limit."""

# ClickHouse refuses an insert into more than 100 partitions, which are months here. A backfill may need more.
_INSERT_SETTINGS: Final = {"max_partitions_per_insert_block": 0}

# Every failure is raised from here and reported by the caller. Without this the libraries would log it as well.
for _library in ("clickhouse_connect", "urllib3.connectionpool"):
    logging.getLogger(_library).setLevel(logging.CRITICAL)

Answer = TypeVar("Answer")


class ClickHouseAwayError(Exception):
    """ClickHouse cannot be reached or used. The message is one sentence with the address and what to do."""


class Address(msgspec.Struct, frozen=True):
    """Where ClickHouse is. `directory` is None for a server, and the data directory for the engine in this process.

    `shown` is for messages: it holds no password.
    """

    shown: str
    directory: Path | None
    dsn: str
    encrypted: bool


def address_of(dsn: str) -> Address:
    """Parse a DSN. `chdb:///DIR` is the absolute directory /DIR, also with more slashes. Other DSNs are servers'."""
    if dsn.startswith("chdb://"):
        directory = Path("/" + dsn.removeprefix("chdb://").lstrip("/"))
        return Address(str(directory), directory, dsn, encrypted=False)
    parts = urlsplit(dsn)
    return Address(parts.netloc.rpartition("@")[2], None, dsn, encrypted=parts.scheme == "https")


class ClickHouse:
    """A client that may be used from several threads: one call runs at a time, the others wait.

    After an error the connection is dropped, and the next call opens a new one. chdb cannot be used after an error, and
    a server may have restarted or failed over.
    """

    def __init__(self, dsn: str) -> None:
        """Connect. Raises ClickHouseAwayError, or DirectoryTakenError if another process uses the directory."""
        self._address = address_of(dsn)
        self._lock = DirectoryLock(self._address.directory) if self._address.directory else None
        self._client: Any = None
        self._in_use = threading.Lock()
        try:
            self._client = _connect(self._address)
        except BaseException:
            self.close()
            raise

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a SELECT and return its rows. A string that is not UTF-8 is returned in hexadecimal.

        Like `answer`, `command` and `insert`, it raises ClickHouseAwayError if no connection can be opened, and the
        errors of clickhouse_connect.
        """
        return self._call(lambda client: [tuple(row) for row in client.query(sql).result_rows])

    def answer(self, sql: str, output_format: str, settings: dict[str, Any]) -> bytes:
        """Run one statement and return the bytes that ClickHouse sent, in a ClickHouse format such as CSVWithNames."""
        return self._call(lambda client: bytes(client.raw_query(sql, fmt=output_format, settings=settings)))

    def command(self, sql: str) -> None:
        """Run a statement that has no rows to return."""
        self._call(lambda client: client.command(sql))

    def insert(self, block: Block) -> None:
        """Insert a block. After an error it may have been written or not; `is_passing` says whether to try again."""
        self._call(
            lambda client: client.insert(
                block.table,
                block.columns,
                column_names=block.names,
                column_type_names=block.types,
                column_oriented=True,
                settings=_INSERT_SETTINGS,
            )
        )

    def close(self) -> None:
        """Close the connection and release the directory. Safe to repeat."""
        self._drop()
        if self._lock:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, use: Callable[[Any], Answer]) -> Answer:
        with self._in_use:
            if self._client is None:
                self._client = _connect(self._address)
            try:
                return use(self._client)
            except Exception:
                self._drop()
                raise

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


def is_passing(error: BaseException) -> bool:
    """Whether trying the same call again can help, because ClickHouse is away or refuses for now.

    False for a bug, such as rows that the client cannot encode: they would fail for ever.
    """
    return isinstance(error, ClickHouseAwayError | OperationalError) or type(error) is DatabaseError


def _engine_path(directory: Path) -> str:
    """Return the directory as chdb takes it. It reads a `?` as the beginning of options, and takes only UTF-8.

    A directory with such a name gets a second one, a link, which is removed when this process ends.
    """
    path = str(directory)
    if "?" not in path and not any("\ud800" <= character <= "\udfff" for character in path):
        return path
    beside = mkdtemp(prefix="meter-")
    atexit.register(rmtree, beside, ignore_errors=True)
    link = Path(beside) / "clickhouse"
    link.symlink_to(directory, target_is_directory=True)
    return f"file:{link}"


def _connect(address: Address) -> Any:
    try:
        if address.directory:
            with without_cgroups_trace():
                return clickhouse_connect.get_client(interface="chdb", path=_engine_path(address.directory))
        return clickhouse_connect.get_client(
            dsn=address.dsn,
            interface="https" if address.encrypted else None,
            connect_timeout=CONNECT_TIMEOUT_S,
            send_receive_timeout=ANSWER_TIMEOUT_S,
            autogenerate_session_id=False,  # A session would bind the client to one replica.
        )
    except OperationalError:
        raise ClickHouseAwayError(
            f"ClickHouse does not answer at {address.shown}: start it, or set CLICKHOUSE_DSN to where it is."
        ) from None
    except ClickHouseError as refusal:
        raise ClickHouseAwayError(
            f"ClickHouse at {address.shown} cannot be used: check CLICKHOUSE_DSN and what ClickHouse says: "
            f"{str(refusal).splitlines()[0]}"
        ) from refusal
