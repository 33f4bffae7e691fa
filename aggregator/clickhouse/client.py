"""ClickHouse, a server's or the engine in this process (chdb), behind one handle opened from a DSN."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import clickhouse_connect
import msgspec
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError

from aggregator.clickhouse.directory_lock import DirectoryLock
from aggregator.core.rows import Block

CONNECT_TIMEOUT_S: Final = 5
ANSWER_TIMEOUT_S: Final = 60

# A backfill may open more than a hundred months in one insert; that is no mistake here.
_INSERT_SETTINGS: Final = {"max_partitions_per_insert_block": 0}

# Each failure is told once, by us, in a sentence.
for _chatty in ("clickhouse_connect", "urllib3.connectionpool"):
    logging.getLogger(_chatty).setLevel(logging.CRITICAL)

Answer = TypeVar("Answer")


class ClickHouseAwayError(Exception):
    """No connection: one sentence that names the address and says what to do."""


class Address(msgspec.Struct, frozen=True):
    """Where ClickHouse is. `directory` is set for the engine in this process, `dsn` for a server."""

    shown: str
    directory: Path | None
    dsn: str
    encrypted: bool


def address_of(dsn: str) -> Address:
    """`chdb:///DIR` is the absolute directory /DIR (more slashes change nothing); anything else is a server's."""
    if dsn.startswith("chdb://"):
        directory = Path("/" + dsn.removeprefix("chdb://").lstrip("/"))
        return Address(str(directory), directory, dsn, encrypted=False)
    parts = urlsplit(dsn)
    return Address(parts.netloc.rpartition("@")[2], None, dsn, encrypted=parts.scheme == "https")


class ClickHouse:
    """One handle; threads that use it at once wait for one another. After any failure it is thrown away and the next
    call opens another: chdb needs that, and a server's restart or failover wants it.
    """

    def __init__(self, dsn: str) -> None:
        """Opens it. Raises ClickHouseAwayError, or DirectoryTakenError if another process has the directory."""
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
        """The rows of a SELECT. String columns that are not UTF-8 come as hexadecimal."""
        return self._call(lambda client: [tuple(row) for row in client.query(sql).result_rows])

    def answer(self, sql: str, output_format: str, settings: dict[str, Any]) -> bytes:
        """The answer to one statement, in a ClickHouse format, as ClickHouse sent it."""
        return self._call(lambda client: bytes(client.raw_query(sql, fmt=output_format, settings=settings)))

    def command(self, sql: str) -> None:
        """Runs a statement that answers nothing."""
        self._call(lambda client: client.command(sql))

    def insert(self, block: Block) -> None:
        """Writes a block as one insert. Raises what `is_passing` judges; then it may have been written or not."""
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
        """Gives handle and directory back. Safe to repeat."""
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
    """Whether trying again can help: ClickHouse is away or refuses for now. Rows it cannot even encode are a bug."""
    return isinstance(error, ClickHouseAwayError | OperationalError) or type(error) is DatabaseError


def _connect(address: Address) -> Any:
    try:
        if address.directory:
            return clickhouse_connect.get_client(interface="chdb", path=str(address.directory))
        return clickhouse_connect.get_client(
            dsn=address.dsn,
            interface="https" if address.encrypted else None,
            connect_timeout=CONNECT_TIMEOUT_S,
            send_receive_timeout=ANSWER_TIMEOUT_S,
            autogenerate_session_id=False,  # Nothing is kept in a session, and one would tie us to a replica.
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
