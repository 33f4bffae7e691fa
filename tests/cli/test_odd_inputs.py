"""Feeds, directories and terminals as people have them."""

import gzip
import os
from pathlib import Path

import pytest

from tests.integration.processes import command, environment
from tests.oracle.build import chat

pytestmark = pytest.mark.integration

ASCII = {"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}


def test_a_directory_of_odd_files_is_metered_into_an_odd_directory_on_an_ascii_terminal(tmp_path: Path) -> None:
    """A mark at the head, blank lines, carriage returns, .GZ; a `?` and bytes that are no text in the name of the
    directory; names that the terminal cannot show; a sentence that says what a field may be."""
    feeds = tmp_path / "feeds"
    feeds.mkdir()
    (feeds / "one.ndjson").write_bytes(
        b"\xef\xbb\xbf" + chat(0, ws="z\u00fcrich") + b"\r\n\r\n" + chat(1, ws="b") + b"\n\n"
    )
    (feeds / "TWO.NDJSON.GZ").write_bytes(gzip.compress(chat(2, ws="c", user="v").replace(b'"user"}', b'"robot"}')))
    data = os.fsdecode(os.fsencode(tmp_path) + b"/da?ta \xff")
    env = environment(**ASCII)
    done = command("meter", "run", "--feed", str(feeds), "--data", data, "--once", env=env)
    assert done.returncode == 0, done.stderr
    told = " ".join(done.stdout.split())
    assert "z\\xfcrich" in told
    assert 'data.actor: "robot" is not one of user, bot, agent, developer' in told
    assert "difference 0" in told
    query = "SELECT workspace_id, sum(conversations) FROM usage_daily GROUP BY workspace_id ORDER BY workspace_id"
    asked = command("meter", "sql", "--data", data, query, "--format", "TSV", env=env | {"PYTHONIOENCODING": "utf-8"})
    assert asked.stdout.splitlines() == ["b\t1", "z\u00fcrich\t1"], asked.stderr
