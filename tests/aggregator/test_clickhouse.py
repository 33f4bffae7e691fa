"""The handle on ClickHouse: who may open it, and what happens after a failure."""

import subprocess
import sys
from pathlib import Path

import pytest

from aggregator.clickhouse.client import ClickHouse, ClickHouseAwayError, address_of, is_passing
from aggregator.clickhouse.directory_lock import DirectoryLock, DirectoryTakenError
from meter.local.broker import free_port

HOLDER = """
import sys
from pathlib import Path
from aggregator.clickhouse.directory_lock import DirectoryLock
lock = DirectoryLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_second_process_is_told_who_has_the_directory(tmp_path: Path) -> None:
    """One process owns a data directory; another gets one sentence with the owner's pid and what to do."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(DirectoryTakenError) as refusal:
        ClickHouse(f"chdb://{tmp_path}")
    assert str(refusal.value) == (
        f"the data directory {tmp_path} is in use by another process (pid {holder.pid}): stop it, or choose another"
    )
    holder.kill()
    holder.communicate()
    ClickHouse(f"chdb://{tmp_path}").close()


def test_closing_gives_the_directory_back(dsn: str) -> None:
    """After a close the same process opens the same directory, or another one."""
    with ClickHouse(dsn) as first:
        first.command("CREATE TABLE kept (x Int8) ENGINE = MergeTree ORDER BY x")
    with ClickHouse(dsn + "-other") as other:
        assert other.query("EXISTS TABLE kept") == [(0,)]
    with ClickHouse(dsn) as again:
        assert again.query("EXISTS TABLE kept") == [(1,)]


def test_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A path through a file is no directory, and the sentence says so."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DirectoryTakenError, match="cannot be written"):
        DirectoryLock(tmp_path / "file" / "data")


def test_handle_works_after_a_failed_query(clickhouse: ClickHouse) -> None:
    """A failure costs one query, not the handle."""
    with pytest.raises(Exception, match="no_such_table") as failure:
        clickhouse.query("SELECT * FROM no_such_table")
    assert is_passing(failure.value)
    assert clickhouse.query("SELECT count() FROM balances") == [(0,)]


def test_absent_server_is_told_with_its_address() -> None:
    """One sentence names the address, without the password, and says what to do."""
    port = free_port()
    with pytest.raises(ClickHouseAwayError) as refusal:
        ClickHouse(f"clickhouse://user:secret@127.0.0.1:{port}/default")
    assert str(refusal.value) == (
        f"ClickHouse does not answer at 127.0.0.1:{port}: start it, or set CLICKHOUSE_DSN to where it is."
    )


@pytest.mark.parametrize("dsn", ["chdb:///data/x", "chdb:////data/x", "chdb:///data/x/"])
def test_slashes_of_a_directory_change_nothing(dsn: str) -> None:
    """The path of a chdb DSN is absolute, however many slashes it begins or ends with."""
    assert address_of(dsn).directory == Path("/data/x")


def test_bugs_are_not_tried_again() -> None:
    """What no repetition mends is not repeated for ever."""
    assert not is_passing(ValueError())
    assert is_passing(ClickHouseAwayError())
