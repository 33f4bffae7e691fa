"""What several of these tests start from."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers import EMBEDDED, Broker, running_broker
from tests.feeds.generator import generate
from tests.feeds.lines import millis
from tests.integration.processes import command, environment

SMALL = generate(seed=5, events=500, start_ms=millis(2026, 8, 1))


def write_feed(path: Path, lines: list[bytes]) -> Path:
    """A feed as a file."""
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    return write_feed(tmp_path / "feed.ndjson", SMALL)


@pytest.fixture(scope="session")
def metered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that a run has left."""
    folder = tmp_path_factory.mktemp("metered")
    small = write_feed(folder / "feed.ndjson", SMALL)
    done = command("meter", "run", "--feed", str(small), "--data", str(folder / "data"), "--once", env=environment())
    assert done.returncode == 0, done.stderr
    return folder / "data"


@pytest.fixture(scope="module")
def empty_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker without topics."""
    with running_broker(EMBEDDED, tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A loopback port that no process listens on, and that no other is given meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
