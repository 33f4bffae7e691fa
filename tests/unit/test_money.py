"""Money and instants: integers inside, words for people outside."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.instants import DAY_MS, day_of, from_ms, rfc3339, to_ms
from schemas.money import DOLLAR_MICROS, STANDARD_CONVERSATION_MICROS, STANDARD_FREE_GRANT_MICROS, dollars


@pytest.mark.parametrize(
    ("micros", "words"),
    [
        (0, "$0.00"),
        (1, "$0.000001"),
        (-1, "-$0.000001"),
        (10_000, "$0.01"),
        (100_000, "$0.10"),
        (200_000, "$0.20"),
        (123_000, "$0.123"),
        (1_000_000, "$1.00"),
        (-1_234_567, "-$1.234567"),
        (999_999, "$0.999999"),
        (500_000_000, "$500.00"),
        (1_234_567_890_000, "$1,234,567.89"),
        (-(10**15), "-$1,000,000,000.00"),
    ],
)
def test_dollars_for_people(micros: int, words: str) -> None:
    """Every micro-dollar shows; whole cents have two digits."""
    assert dollars(micros) == words


@given(st.integers(-(10**18), 10**18))
def test_dollars_lose_nothing(micros: int) -> None:
    """What is written can be read back to the micro-dollar: no float came near it."""
    sign, _, rest = dollars(micros).rpartition("$")
    whole, fraction = rest.replace(",", "").split(".")
    assert len(fraction) >= 2
    amount = int(whole) * DOLLAR_MICROS + int(fraction.ljust(6, "0"))
    assert (-amount if sign else amount) == micros


def test_the_free_grant_is_exactly_2500_conversations() -> None:
    """DOMAIN, Prices."""
    assert divmod(STANDARD_FREE_GRANT_MICROS, STANDARD_CONVERSATION_MICROS) == (2_500, 0)


@pytest.mark.parametrize(
    ("instant", "at_ms"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1970, 1, 1, 0, 0, 0, 999, tzinfo=UTC), 0),
        (datetime(1970, 1, 1, 0, 0, 0, 1_000, tzinfo=UTC), 1),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), -1),
        (datetime(1970, 1, 1, 5, 45, tzinfo=timezone(timedelta(hours=5, minutes=45))), 0),
        (datetime(2026, 9, 1, 12, 30, 15, 123_456, tzinfo=UTC), 1_788_265_815_123),
    ],
)
def test_instants_are_cut_to_milliseconds(instant: datetime, at_ms: int) -> None:
    """DOMAIN, Metering 4: UTC; what is finer is cut off, before 1970 as well."""
    assert to_ms(instant) == at_ms


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [(0, "1970-01-01T00:00:00.000Z"), (1, "1970-01-01T00:00:00.001Z"), (1_788_265_815_120, "2026-09-01T12:30:15.120Z")],
)
def test_rfc3339_has_milliseconds_and_utc(at_ms: int, text: str) -> None:
    """As CloudEvents writes it."""
    assert rfc3339(at_ms) == text


@given(st.integers(0, 253_402_300_799_999))
def test_instants_survive_the_way_out_and_back(at_ms: int) -> None:
    """Through a datetime and through text."""
    assert to_ms(from_ms(at_ms)) == at_ms
    assert to_ms(datetime.fromisoformat(rfc3339(at_ms))) == at_ms


@pytest.mark.parametrize(("at_ms", "day"), [(0, 0), (DAY_MS - 1, 0), (DAY_MS, 1), (-1, -1)])
def test_a_day_begins_at_midnight_utc(at_ms: int, day: int) -> None:
    """DOMAIN, Metering 4."""
    assert day_of(at_ms) == day
