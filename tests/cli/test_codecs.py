"""A worker whose installation cannot read every codec says so, and does not start."""

from pathlib import Path

import pytest

from schemas.exit_statuses import REFUSED
from tests.cli.refusals import assert_refused
from tests.integration.processes import ROOT, command, environment

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("program", ["meter", "aggregator"])
def test_worker_without_the_codec_library_is_refused(tmp_path: Path, closed_port: int, program: str) -> None:
    """Before it looks for a broker or a database: it would end at the first batch in one of these codecs."""
    hidden, data = tmp_path / "hidden", tmp_path / "data"
    hidden.mkdir()
    (hidden / "cramjam.py").write_text('raise ImportError("a library that cannot be loaded")\n')
    done = command(
        program,
        "worker",
        env=environment(
            PYTHONPATH=f"{hidden}:{ROOT}",
            KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{closed_port}",
            CLICKHOUSE_DSN=f"chdb://{data}/clickhouse",
        ),
    )
    assert_refused(done, "snappy, lz4, zstd", "the package cramjam is missing", "install the product again")
    assert done.returncode == REFUSED
    assert not data.exists()
