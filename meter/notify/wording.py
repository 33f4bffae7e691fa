"""Amounts, times and counts as people read them in notices and invoices: English, in the workspace's time zone."""

from datetime import UTC, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from schemas.money import dollars

_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
"""English, on every machine: `strftime` would ask the locale."""


def zone_of(name: str) -> tuple[tzinfo, str]:
    """Return the time zone of an IANA name, and the name that people read. An unknown one is UTC."""
    try:
        return ZoneInfo(name), name.replace("_", " ")
    except (KeyError, ValueError, OSError):
        return UTC, "UTC"


def money(amount_micros: int) -> str:
    """1234500000 -> `$1,234.50`."""
    return dollars(amount_micros)


def day(at: datetime, zone: str) -> str:
    """The day on which a moment lies in the time zone `zone`: `30 November 2026`."""
    local = _local(at, zone)
    return f"{local.day} {_MONTHS[local.month - 1]} {local.year}"


def moment(at: datetime, zone: str) -> str:
    """Day, minute and time zone: `30 November 2026, 14:05 (Europe/Berlin)`."""
    return f"{day(at, zone)}, {_local(at, zone):%H:%M} ({zone_of(zone)[1]})"


def month(text: str) -> str:
    """`2027-03` -> `March 2027`."""
    year, number = text.split("-")
    return f"{_MONTHS[int(number) - 1]} {year}"


def count(number: int) -> str:
    """1234567 -> `1,234,567`."""
    return f"{number:,}"


def _local(at: datetime, zone: str) -> datetime:
    """The moment in the time zone; in UTC where the calendar ends before it does."""
    try:
        return at.astimezone(zone_of(zone)[0])
    except (OverflowError, ValueError):
        return at
