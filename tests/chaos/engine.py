"""`python -m tests.chaos.engine DIRECTORY PORT`: ClickHouse's engine (chdb) as a process of its own, behind HTTP.

It speaks as much of ClickHouse's HTTP interface as its Python client asks for, so that workers reach it by a
`clickhouse://` DSN, any number of them, and it can be killed, paused and started again without them. An insert is
answered once the engine has it in its files, as a server does it.
"""

import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import chdb
import lz4.frame

# What the client says in the URL beside ClickHouse's settings, and settings that are about transport alone.
_TRANSPORT: Final = {
    *("query_id", "database", "client_protocol_version", "wait_end_of_query", "enable_http_compression"),
    *("send_progress_in_http_headers", "http_headers_progress_interval_ms"),
    "cancel_http_readonly_queries_on_client_close",
}


class Engine:
    """One connection to the engine, for one request at a time."""

    def __init__(self, directory: Path) -> None:
        self._connection = chdb.connect(str(directory))
        self._lock = threading.Lock()

    def ask(self, sql: str) -> bytes:
        """The answer, tab-separated unless the query names another format."""
        with self._lock:
            return bytes(self._connection.query(sql, "TabSeparated").bytes() or b"")

    def insert(self, statement: str, data: bytes, settings: str) -> bytes:
        """Insert data in the format that ends the statement. The engine takes data from files only."""
        with tempfile.NamedTemporaryFile(suffix=".native") as file:
            file.write(data)
            file.flush()
            head, _, data_format = statement.rpartition(" FORMAT ")
            return self.ask(f"{head} FROM INFILE '{file.name}' {settings} FORMAT {data_format}")


class Handler(BaseHTTPRequestHandler):
    """One HTTP request."""

    protocol_version = "HTTP/1.1"
    # Head and body would otherwise wait for each other's acknowledgement.
    disable_nagle_algorithm = True
    engine: Engine

    def do_GET(self) -> None:
        """Whether it is up."""
        self._answer(200, b"Ok.\n")

    def do_POST(self) -> None:
        """A query, or an insert: a statement on a line of its own, and data."""
        given = {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}
        body = b"".join(self._chunks())
        if self.headers.get("Content-Encoding") == "lz4":
            body = b"".join(_frames(body))
        try:
            self._answer(200, self._result(given, body))
        except Exception as error:  # The engine raises RuntimeError and others, with ClickHouse's own words.
            code = str(error).partition("Code: ")[2].partition(".")[0]
            self._answer(500, str(error).encode(), code if code.isdecimal() else "1")

    def _result(self, given: dict[str, str], body: bytes) -> bytes:
        if "query" in given:
            raise RuntimeError("Code: 48. a query in the URL is not understood here")
        if not body.startswith(b"INSERT") or b" FORMAT " not in body.partition(b"\n")[0]:
            return self.engine.ask(body.decode())
        statement, _, data = body.partition(b"\n")
        settings = ", ".join(f"{name} = '{value}'" for name, value in given.items() if name not in _TRANSPORT)
        return self.engine.insert(statement.decode(), data, f"SETTINGS {settings}" if settings else "")

    def _chunks(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding") != "chunked":
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _answer(self, status: int, body: bytes, code: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-ClickHouse-Timezone", "UTC")
        if code is not None:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: only failures are of interest, and those are the client's to tell."""


def _frames(body: bytes) -> Iterator[bytes]:
    """The client compresses each block of rows on its own, one after another."""
    while body:
        frame = lz4.frame.LZ4FrameDecompressor()
        yield frame.decompress(body)
        if not frame.eof:
            raise RuntimeError("Code: 33. the body ends in the middle of a frame")
        body = frame.unused_data or b""


class Server(ThreadingHTTPServer):
    """Threads end with the process; the port can be taken again at once."""

    daemon_threads = True


def main(directory: str, port: str) -> None:
    """Serve until the process is ended."""
    Handler.engine = Engine(Path(directory))
    with Server(("127.0.0.1", int(port)), Handler) as server:
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
