"""Event time: integer milliseconds since 1970 in UTC (DOMAIN, Metering 4)."""

from datetime import UTC, datetime, timedelta

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_ms(instant: datetime) -> int:
    """Milliseconds since 1970 of an aware datetime, rounded down. Raises TypeError for a naive one."""
    return (instant - _EPOCH) // _MILLISECOND


def from_ms(at_ms: int) -> datetime:
    """The aware UTC datetime of `at_ms`. Raises OverflowError outside the years 1 to 9999."""
    return _EPOCH + at_ms * _MILLISECOND


def rfc3339(at_ms: int) -> str:
    """Format `at_ms` as RFC 3339 in UTC with milliseconds, as CloudEvents writes it.

    A time before the year 1 or after 9999 has no such text. An event's offset from UTC can lead there; the earliest or
    the latest possible time is returned instead.
    """
    return from_ms(min(max(at_ms, _FIRST_MS), _LAST_MS)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_FIRST_MS = to_ms(datetime.min.replace(tzinfo=UTC))
_LAST_MS = to_ms(datetime.max.replace(tzinfo=UTC))


def day_of(at_ms: int) -> int:
    """The UTC day that `at_ms` belongs to, as days since 1970."""
    return at_ms // DAY_MS
