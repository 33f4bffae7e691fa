"""Feed files as people have them: from any system, gzipped under any name, in directories."""

import gzip
from pathlib import Path

import pytest

from meter.ingest import feed_lines
from meter.ingest.feed_lines import FeedError, feed_files, lines

BOM = b"\xef\xbb\xbf"


def read(path: Path, content: bytes) -> list[bytes]:
    path.write_bytes(content)
    return list(lines(path, lambda _: None))


def test_a_byte_order_mark_at_the_head_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    """Editors write it. Elsewhere in the file it stays, and the meter refuses that line by name."""
    assert read(tmp_path / "a.ndjson", BOM + b"{}\n" + BOM + b"[]\n") == [b"{}", BOM + b"[]"]
    assert read(tmp_path / "a.ndjson", BOM) == []


def test_blank_lines_and_carriage_returns_are_no_events(tmp_path: Path) -> None:
    """As other systems end lines; a line of white space alone is blank."""
    assert read(tmp_path / "a.ndjson", b"{}\r\n\r\n \t\n\n[]\r\n") == [b"{}", b"[]"]


@pytest.mark.parametrize("name", ["a.gz", "A.GZ", "a.ndjson"])
def test_a_gzipped_file_is_seen_in_its_bytes(tmp_path: Path, name: str) -> None:
    """Under any name; and a plain file may be called .gz."""
    assert read(tmp_path / name, gzip.compress(BOM + b"{}\n[]\n")) == [b"{}", b"[]"]
    assert read(tmp_path / name, b"{}\n[]") == [b"{}", b"[]"]


def test_a_line_that_no_topic_takes_is_refused_by_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it fills the memory."""
    monkeypatch.setattr(feed_lines, "LINE_BYTES", 10)
    assert read(tmp_path / "a", b"123456789\n") == [b"123456789"]
    with pytest.raises(FeedError, match="line 2 is longer than 10 bytes"):
        read(tmp_path / "a", b"{}\n" + b"x" * 11)


def test_a_directory_stands_for_its_feed_files(tmp_path: Path) -> None:
    """By name, and not those of other kinds, hidden ones, or directories in it."""
    for name in ("b.ndjson", "a.JSONL.GZ", "c.json", "readme.txt", ".d.ndjson", "x.gz"):
        (tmp_path / name).touch()
    (tmp_path / "e.ndjson").mkdir()
    found = [tmp_path / name for name in ("a.JSONL.GZ", "b.ndjson", "c.json")]
    assert feed_files([tmp_path, tmp_path / "x.gz"]) == [*found, tmp_path / "x.gz"]


def test_a_directory_without_feed_files_is_refused(tmp_path: Path) -> None:
    """With the names that are looked for."""
    (tmp_path / "readme.txt").touch()
    with pytest.raises(FeedError, match=r"has no feed files, whose names end in \.ndjson, \.jsonl, \.json"):
        feed_files([tmp_path])
