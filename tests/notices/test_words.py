"""Amounts, times, names and links as people see them."""

from datetime import UTC, datetime

import msgspec
import pytest

from meter.notify import wording
from meter.notify.samples import sample
from meter.notify.sender import link_url
from meter.notify.shown import ELLIPSIS, one_line, shortened, shown
from schemas.notice_fields import Link

NEW_YEAR = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("micros", "words"),
    [
        (1_234_500_000, "$1,234.50"),
        (0, "$0.00"),
        (-1_200_000, "-$1.20"),
        (150_000, "$0.15"),
        (20_000_000_000, "$20,000.00"),
        (1_234_567, "$1.234567"),
    ],
)
def test_money(micros: int, words: str) -> None:
    assert wording.money(micros) == words


@pytest.mark.parametrize(
    ("zone", "day", "moment"),
    [
        ("UTC", "31 December 2026", "31 December 2026, 23:30 (UTC)"),
        ("Asia/Tokyo", "1 January 2027", "1 January 2027, 08:30 (Asia/Tokyo)"),
        ("America/New_York", "31 December 2026", "31 December 2026, 18:30 (America/New York)"),
        ("Asia/Kolkata", "1 January 2027", "1 January 2027, 05:00 (Asia/Kolkata)"),
        ("Nowhere/At_All", "31 December 2026", "31 December 2026, 23:30 (UTC)"),
        ("../../etc/passwd", "31 December 2026", "31 December 2026, 23:30 (UTC)"),
        ("a\0b", "31 December 2026", "31 December 2026, 23:30 (UTC)"),
    ],
)
def test_a_time_is_in_the_zone_of_the_workspace(zone: str, day: str, moment: str) -> None:
    """A zone that this machine does not know is UTC, and says so."""
    assert (wording.day(NEW_YEAR, zone), wording.moment(NEW_YEAR, zone)) == (day, moment)


def test_the_hour_of_summer_time() -> None:
    assert wording.moment(datetime(2026, 7, 1, 12, tzinfo=UTC), "Europe/Berlin") == "1 July 2026, 14:00 (Europe/Berlin)"


@pytest.mark.parametrize("at", [datetime.min, datetime.max])
def test_the_ends_of_the_calendar_are_shown(at: datetime) -> None:
    assert wording.day(at.replace(tzinfo=UTC), "Asia/Tokyo")
    assert wording.day(at.replace(tzinfo=UTC), "America/New_York")


def test_month_and_count() -> None:
    assert (wording.month("2027-03"), wording.count(1_234_567)) == ("March 2027", "1,234,567")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Corner  Books\t", "Corner Books"),
        ("a\r\nBcc: b", "a Bcc: b"),
        ("a\u2028b\u2029c\x85d\x00e", "a b c d e"),
        ("a\u202eb", "a b"),
        ("a\ud800b", "a\ufffdb"),
        ("نامه‌ای", "نامه‌ای"),
    ],
)
def test_a_text_becomes_one_line(text: str, line: str) -> None:
    """Persian needs its zero-width non-joiner; what turns the direction of other words goes."""
    assert one_line(text) == line


def test_a_long_text_ends_with_an_ellipsis_between_letters() -> None:
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == f"abcde{ELLIPSIS}"
    assert shortened("abcd" + "e\u0301" + "fg", 6) == f"abcd{ELLIPSIS}"
    family = "👩\u200d👩\u200d👧"
    assert shortened("ab" + family + "cd", 6) == f"ab{ELLIPSIS}"
    assert shortened("a" + "\u0301" * 20, 6) == ELLIPSIS


def test_a_name_with_right_to_left_letters_keeps_to_itself() -> None:
    assert shown("עברית") == "\u2068עברית\u2069"  # noqa: RUF001
    assert shown("עברית").__html__() == "<bdi>עברית</bdi>"
    assert shown("<b>").__html__() == "<bdi>&lt;b&gt;</bdi>"
    assert shown("\u200b \n") == "(no name)"


@pytest.mark.parametrize(
    ("workspace_id", "token", "url"),
    [
        ("corner", "t", "https://m.example/workspaces/corner/t"),
        ("../admin", "a/b?c#d", "https://m.example/workspaces/..%2Fadmin/a%2Fb%3Fc%23d"),
        ("..", ".", "https://m.example/workspaces/%2E%2E/%2E"),
        ("é x", "@evil.example", "https://m.example/workspaces/%C3%A9%20x/%40evil.example"),
    ],
)
def test_ids_in_a_link_stay_one_part_of_its_path(workspace_id: str, token: str, url: str) -> None:
    notice = msgspec.structs.replace(sample("signup-confirm"), workspace_id=workspace_id)
    link = Link("Go", "/workspaces/{workspace_id}/{token}")
    assert link_url(link, notice, {"token": token}, "https://m.example") == url
