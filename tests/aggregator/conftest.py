"""One data directory a test: an engine serves one directory at a time, so each test closes what it opened."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aggregator.clickhouse.client import ClickHouse
from aggregator.clickhouse.migrate import apply


@pytest.fixture
def dsn(tmp_path: Path) -> str:
    return f"chdb://{tmp_path}/clickhouse"


@pytest.fixture
def clickhouse(dsn: str) -> Iterator[ClickHouse]:
    """Migrated and empty."""
    with ClickHouse(dsn) as opened:
        apply(opened)
        yield opened
