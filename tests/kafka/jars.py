"""Kafka's jars: where Maven puts them, and how they are fetched once."""

import contextlib
import fcntl
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

_POM = Path(__file__).with_name("pom.xml")


# Shorter than the limit of a test, so that a slow network is reported as such.
_RESOLVE_TIMEOUT_S = 240.0


class LocalKafkaError(RuntimeError):
    """Kafka cannot be installed, started or stopped, or is asked for something while it does not run."""


def install_jars() -> Path:
    """The folder with Kafka's jars, filled by Maven the first time; later calls need neither Maven nor a network.

    Processes that call this together wait for the first one. Raises LocalKafkaError when the jars cannot be had.
    """
    target = _jar_directory()
    if _complete(target):
        return target
    with _alone(target.with_name(f"{target.name}.lock")):
        if not _complete(target):
            _resolve_into(target)
    return target


def _resolve_into(target: Path) -> None:
    """The folder appears under its name only when whole, so a process that finds it can use it."""
    shutil.rmtree(target, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=target.parent))
    try:
        _copy_jars(scratch)
        (scratch / ".complete").touch()
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _copy_jars(into: Path) -> None:
    if shutil.which("mvn") is None:
        raise LocalKafkaError("mvn is needed once to fetch Kafka's jars, and is not on the PATH.")
    command = ["mvn", "-q", "-B", "-f", str(_POM), "dependency:copy-dependencies"]
    try:
        done = subprocess.run(
            [*command, "-DincludeScope=runtime", f"-DoutputDirectory={into}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_RESOLVE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LocalKafkaError(f"mvn did not fetch Kafka's jars within {_RESOLVE_TIMEOUT_S:.0f} s.") from None
    if done.returncode:
        raise LocalKafkaError(f"mvn could not fetch Kafka's jars:\n{done.stdout[-2000:]}")


@contextlib.contextmanager
def _alone(lock_file: Path) -> Iterator[None]:
    """Holds a lock between processes; the system releases it if the holder dies."""
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _jar_directory() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "conversation-meter" / f"kafka-{_kafka_version()}"


def _complete(jars: Path) -> bool:
    return (jars / ".complete").exists()


@functools.cache
def _kafka_version() -> str:
    version = ElementTree.parse(_POM).findtext("./{*}properties/{*}kafka.version")
    assert version, "pom.xml states kafka.version"
    return version
