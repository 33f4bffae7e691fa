"""A real Apache Kafka for tests: one KRaft node on loopback, from its published jars, without Docker.

Needs Java 17 or newer and, the first time only, Maven and a network. Unix only.
"""

import base64
import functools
import re
import shutil
import subprocess
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

from meter.local.broker import cluster_at, die_with_parent, free_port
from tests.kafka.jars import LocalKafkaError, _complete, _jar_directory, install_jars

MAX_MESSAGE_BYTES = 33_554_432 + 1_048_576
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0

_OLDEST_JAVA = 17
_PORT_ATTEMPTS = 3
_POLL_S = 0.05
_LOG_LEVEL = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
_HEAP = ("-Xms256m", "-Xmx768m")


def why_unavailable() -> str | None:
    """What this machine lacks to run a LocalKafka, as a short reason; None if it can."""
    if reason := _why_no_java():
        return reason
    if not _complete(_jar_directory()) and shutil.which("mvn") is None:
        return "mvn is not on the PATH and Kafka's jars are not in the cache"
    return None


class LocalKafka:
    """One Kafka node whose configuration, data and log live in a directory, and survive stop, kill and start.

    As a context manager it is started on entry and stopped on exit. On Linux it also ends when the thread that
    started it ends, so start it from one that outlives its use.
    """

    def __init__(self, directory: Path) -> None:
        """`directory` is created if need be; the one of an earlier LocalKafka brings back its data and port."""
        self._directory = directory.absolute()
        self._properties = self._directory / "server.properties"
        self._meta = self._directory / "data" / "meta.properties"
        self._log_file = self._directory / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def bootstrap(self) -> str:
        """The broker's address as HOST:PORT, known from the first start on. Raises LocalKafkaError before it."""
        if not self._port:
            raise LocalKafkaError("Kafka was not started yet.")
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The broker's process id. Raises LocalKafkaError while it does not run."""
        return self._running().pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.stop()

    def start(self) -> None:
        """Start the broker and wait until it answers, at most START_TIMEOUT_S (the first download not counted).

        Raises LocalKafkaError when it runs already, cannot be installed, ends at once or stays silent.
        """
        if self._process is not None:
            raise LocalKafkaError("Kafka is already running.")
        jars = install_jars()
        if self._properties.exists():
            self._port = self._configured_port()
            started = self._launch(jars)
        else:
            started = self._first_start(jars)
        if not started:
            raise LocalKafkaError(f"Kafka ended while starting; its log is {self._log_file}.")

    def stop(self) -> None:
        """Stop the broker cleanly; data and port are kept.

        Raises LocalKafkaError when it does not run, or had to be killed after STOP_TIMEOUT_S.
        """
        process = self._running()
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise LocalKafkaError(
                f"Kafka did not stop within {STOP_TIMEOUT_S:.0f} s and was killed; its log is {self._log_file}."
            ) from None
        self._process = None

    def kill(self) -> None:
        """Kill the broker (-9), as a crash would; data and port are kept. Raises LocalKafkaError if it is not there."""
        process = self._running()
        process.kill()
        process.wait()
        self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise LocalKafkaError("Kafka is not running.")
        return self._process

    def _first_start(self, jars: Path) -> bool:
        """Only now are the ports free to choose: afterwards clients, and the node's own data, know them."""
        self._directory.mkdir(parents=True, exist_ok=True)
        for _ in range(_PORT_ATTEMPTS):
            self._port = free_port()
            self._properties.write_text(_properties(self._directory, self._port, free_port()))
            if not self._meta.exists():
                self._format(jars)
            if self._launch(jars):
                return True
        return False

    def _configured_port(self) -> int:
        found = re.search(r"^advertised\.listeners=.*:(\d+)$", self._properties.read_text(), re.MULTILINE)
        if found is None:
            raise LocalKafkaError(f"{self._properties} names no port.")
        return int(found[1])

    def _format(self, jars: Path) -> None:
        command = [*_java(jars), "kafka.tools.StorageTool", "format", "-t", _new_cluster_id()]
        with self._log_file.open("ab") as log:
            done = subprocess.run(
                [*command, "-c", str(self._properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=START_TIMEOUT_S,
                check=False,
            )
        if done.returncode:
            self._properties.unlink()  # so that a next start begins anew
            raise LocalKafkaError(f"Kafka's storage cannot be formatted; the log is {self._log_file}.")

    def _launch(self, jars: Path) -> bool:
        """True once the broker answers; False if it ended before that."""
        cluster = self._cluster_id()
        self._process = self._spawn(jars)
        deadline = time.monotonic() + START_TIMEOUT_S
        try:
            while time.monotonic() < deadline:
                if cluster_at(self._port) == cluster:
                    return True
                if self._process.poll() is not None:
                    self._process = None
                    return False
                time.sleep(_POLL_S)
            raise LocalKafkaError(f"Kafka gave no answer within {START_TIMEOUT_S:.0f} s; its log is {self._log_file}.")
        except BaseException:  # an interrupt as well: no broker may outlive a failed start
            if self._process is not None:
                self.kill()
            raise

    def _cluster_id(self) -> str:
        found = re.search(r"^cluster\.id=(.+)$", self._meta.read_text(), re.MULTILINE)
        if found is None:
            raise LocalKafkaError(f"{self._meta} names no cluster.")
        return found[1]

    def _spawn(self, jars: Path) -> subprocess.Popen[bytes]:
        with self._log_file.open("ab") as log:
            return subprocess.Popen(
                [*_java(jars, *_HEAP), "kafka.Kafka", str(self._properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C on a test run is for the test run, which stops its broker afterwards.
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )


@functools.cache
def _why_no_java() -> str | None:
    if shutil.which("java") is None:
        return f"java {_OLDEST_JAVA} or newer is not on the PATH"
    shown = subprocess.run(["java", "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    found = re.search(r'version "(\d+)', shown)
    if found is None:
        return "java is on the PATH but does not tell its version"
    if int(found[1]) < _OLDEST_JAVA:
        return f"java is older than {_OLDEST_JAVA}"
    return None


def _java(jars: Path, *options: str) -> list[str]:
    return ["java", *options, _LOG_LEVEL, "-cp", f"{jars}/*"]


def _new_cluster_id() -> str:
    """A random id in Kafka's notation, never with a leading dash: the formatter would take it for an option."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def _properties(directory: Path, port: int, controller_port: int) -> str:
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "CLIENTS",
        "listeners": f"CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"CLIENTS://127.0.0.1:{port}",
        "log.dirs": directory / "data",
        # As in production: a misspelt topic is an error, not a new topic.
        "auto.create.topics.enable": "false",
        "num.partitions": 4,
        # There is one node to hold a copy, and few groups: fifty partitions would only slow the first start.
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # Tests of rebalances should not wait for the patience production needs.
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        # A broker that was killed is let in again only when its last session is over, after nine seconds as a rule.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
        # Topics that were deleted are gone from the disk soon, not after a minute.
        "log.segment.delete.delay.ms": 1000,
        # The largest record a test may send (32 MiB), and room for the batch around it.
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "replica.fetch.max.bytes": MAX_MESSAGE_BYTES,
        "replica.fetch.response.max.bytes": MAX_MESSAGE_BYTES,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
