"""Reading the topic `entitlements`: of each bot the highest version counts, in any order and from any partition."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from meter.cli.entitlements import Watched
from meter.kafka.entitlements import Entitlements
from schemas.formats import NewerFormatError
from tests.gateway.fakes import entitlement

written = st.lists(st.tuples(st.sampled_from("vw"), st.sampled_from("abc"), st.integers(0, 9)), max_size=30)


@given(written)
def test_of_each_bot_the_highest_version_counts(records: list[tuple[str, str, int]]) -> None:
    """Compared with sorting all records of each bot."""
    known = Entitlements()
    newer = [known.add(entitlement(bot, version, space), "entitlements/0") for space, bot, version in records]
    expected = {(space, bot): version for space, bot, version in sorted(records, key=lambda each: each[2])}
    found = {(each.workspace_id, each.bot_id): each.version for space in "vw" for each in known.of_workspace(space)}
    assert found == expected
    for (space, bot), version in expected.items():
        newest = known.of_bot(space, bot)
        assert newest is not None
        assert newest.record().version == version
    of_one = [each.version for each in newer if each is not None and each[:2] == ("v", "a")]
    assert of_one == sorted(set(of_one)), "what is reported as newer rises"


def test_what_cannot_be_read_is_counted_and_a_newer_format_is_refused() -> None:
    known = Entitlements()
    for value in (None, b"", b"{}", b"\xff", b"[" * 5_000):
        assert known.add(value, "entitlements/0") is None
    assert known.unreadable == 4
    newer = json.dumps(json.loads(entitlement("b", 1)) | {"format": 99}).encode()
    with pytest.raises(NewerFormatError, match="entitlements/0, offset 7 has format 99"):
        known.add(newer, "entitlements/0, offset 7")


def shown(workspace_id: str | None, *, terminal: bool) -> tuple[Watched, io.StringIO]:
    file = io.StringIO()
    console = Console(
        file=file, highlight=False, force_terminal=terminal, width=200, color_system="standard" if terminal else None
    )
    return Watched(workspace_id, as_json=False, console=console), file


def known_bots() -> Entitlements:
    known = Entitlements()
    known.add(entitlement("b", 2, allowed_units=None, shared_micros=-5), "")
    known.add(entitlement("a\x1b[2J\n", 1, status="Inactive", active=False, reason="no_credit"), "")
    known.add(entitlement("z", 3, "other"), "")
    return known


def test_a_person_sees_a_row_for_each_bot() -> None:
    watched, file = shown("w", terminal=False)
    watched.standing(known_bots())
    text = file.getvalue()
    assert "\x1b" not in text
    assert "a\\x1b[2J\\n" in text
    assert "Inactive" in text
    assert "-$0.000005" in text
    assert "other" not in text
    assert text.rstrip().endswith("2 bots")


def test_a_terminal_has_colors_by_status() -> None:
    watched, file = shown(None, terminal=True)
    watched.standing(known_bots())
    assert "\x1b[31mInactive" in file.getvalue()
    assert "\x1b[32mSufficient funds" in file.getvalue()
    assert "3 bots" in file.getvalue()


def test_a_change_is_a_line() -> None:
    watched, file = shown("w", terminal=False)
    watched.changes([each for space in ("w", "other") for each in known_bots().of_workspace(space)])
    assert len(file.getvalue().splitlines()) == 2


def test_for_programs_a_record_is_a_line_as_it_lies_on_the_topic(capsys: pytest.CaptureFixture[str]) -> None:
    Watched("w", as_json=True).standing(known_bots())
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["version"] for line in lines] == [1, 2]
