"""CloudEvents lines as bot runtimes and the console write them."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(rb'"time": ?"([^"]+)"')


def millis(year: int, month: int, day: int) -> int:
    """Midnight UTC as milliseconds since 1970."""
    return (datetime(year, month, day, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


def stamp(at: int, offset_minutes: int = 0) -> str:
    """RFC 3339 in milliseconds, in UTC or in the zone of an offset."""
    zone = timezone(timedelta(minutes=offset_minutes))
    text = (_EPOCH + timedelta(milliseconds=at)).astimezone(zone).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def line(record: dict[str, Any]) -> bytes:
    """One line of a feed, without its end."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


def envelope(kind: str, at: int, event_id: str, source: str, data: dict[str, Any]) -> dict[str, Any]:
    """A CloudEvent."""
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": kind,
        "time": stamp(at),
        "data": data,
    }


def chat_data(workspace: str, bot: str, channel: str, user: str, actor: str) -> dict[str, Any]:
    """Who spoke; what comes from a person outside comes in."""
    return {
        "workspace_id": workspace,
        "bot_id": bot,
        "channel": channel,
        "channel_user_id": user,
        "direction": "in" if actor in ("user", "developer") else "out",
        "actor": actor,
    }


def time_of(text: bytes) -> int | None:
    """Event time of a line, None where none can be found. Never decodes the line: it may be anything."""
    found = _TIME.search(text[:2000])
    try:
        instant = datetime.fromisoformat(found[1].decode()) if found else None
    except ValueError:
        return None
    return None if instant is None or instant.tzinfo is None else (instant - _EPOCH) // timedelta(milliseconds=1)


def is_command(text: bytes) -> bool:
    """Account commands go before the events that they are for."""
    return b'"type":"billing.' in text
