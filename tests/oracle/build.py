"""Lines for cases by hand: times are relative to T0, nine in the morning of a day."""

import json
from datetime import UTC, datetime
from typing import Any

from tests.oracle.oracle import Policy, Result, meter

MIN = 60_000
HOUR = 60 * MIN
DAY = 24 * HOUR
T0 = 1_790_000_000_000 // DAY * DAY + 9 * HOUR
NOW = T0 + 2000 * DAY
CENT_20 = 200_000


def stamp(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def line(kind: str, at: int, event_id: str, data: dict[str, Any], **more: Any) -> bytes:
    envelope = {"specversion": "1.0", "id": event_id, "source": "/t", "type": kind, "time": stamp(at), "data": data}
    return json.dumps(envelope | more).encode()


def chat(at: int, actor: str = "user", *, kind: str = "message", ws: str = "w", bot: str = "b", **more: Any) -> bytes:
    """A chat event at T0 + `at`; its id is its time and actor unless given."""
    data = {
        "workspace_id": ws,
        "bot_id": bot,
        "channel": more.pop("channel", "web"),
        "channel_user_id": more.pop("user", "u"),
        "direction": "in" if actor in ("user", "developer") else "out",
        "actor": actor,
    }
    return line(f"chat.{kind}", T0 + at, more.pop("id", f"{bot}-{actor}-{at}"), data, **more)


def command(kind: str, /, at: int = -DAY, *, ws: str = "w", id: str = "", **data: Any) -> bytes:
    data["workspace_id"] = ws
    return line(f"billing.{kind}", T0 + at, id or json.dumps([kind, at, data]), data)


def run(*lines: bytes, policy: Policy = "provision", horizon_ms: int | None = DAY) -> Result:
    return meter(lines, NOW, policy=policy, horizon_ms=horizon_ms)


def spans(result: Result) -> list[tuple[int, int, int]]:
    """(first, last, sessions) of each billable conversation, from T0 on."""
    return [(c.first - T0, c.last - T0, c.sessions) for c in result.conversations]


STANDARD = command("workspace.created", plan="standard", free_grant_micros=0)
ENTERPRISE = command("workspace.created", plan="enterprise", session_price_micros=100_000)
