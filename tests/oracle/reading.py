"""One feed line at a time: a chat event, an account command, or a reason to refuse it (DOMAIN, Metering 6)."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
MAX_LINE_BYTES = 1024 * 1024
MAX_NAME = 512
MAX_DEPTH = 128
MAX_MICROS = 10**15

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)

Check = Callable[[Any], bool]


@dataclass(frozen=True)
class DeadLetter:
    """`field` is the bare name of the offending field, empty when the line has no fields to name."""

    line: int
    code: str
    field: str


@dataclass(frozen=True)
class Event:
    """A readable chat event; `line` is its place in the order of arrival."""

    line: int
    workspace: str
    source: str
    id: str
    type: str
    time: int
    bot: str
    channel: str
    user: str
    direction: str
    actor: str

    def identity(self) -> tuple[str, str, str]:
        """DOMAIN, Metering 7: the same (workspace, source, id) is the same event."""
        return (self.workspace, self.source, self.id)

    def metered(self) -> tuple[object, ...]:
        """What two events with one identity must agree on, else the second is a conflict."""
        return (self.type, self.time, self.bot, self.channel, self.user, self.direction, self.actor)


@dataclass(frozen=True)
class Command:
    """A readable account command; `data` is as it came, less the checks."""

    line: int
    workspace: str
    source: str
    id: str
    type: str
    time: int
    data: dict[str, Any]


class RefusedError(Exception):
    """This line is a dead letter."""

    def __init__(self, code: str, field: str = "") -> None:
        super().__init__(code, field)
        self.code = code
        self.field = field


def is_name(value: Any) -> bool:
    """A non-empty string. A lone surrogate is no character, so it cannot be part of a name."""
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and not any("\ud800" <= c <= "\udfff" for c in value)


def is_text(value: Any) -> bool:
    """A name for people, which may be empty."""
    return value == "" or is_name(value)


def is_amount(value: Any) -> bool:
    """Money is an integer count of micro-dollars (DOMAIN, Prices); in Python `true` is an integer too."""
    return type(value) is int and 0 <= value <= MAX_MICROS


def is_positive_amount(value: Any) -> bool:
    return is_amount(value) and value > 0


def is_instant(value: Any) -> bool:
    try:
        return to_ms(value) >= 0
    except ValueError:
        return False


def is_one_of(*words: str) -> Check:
    return lambda value: isinstance(value, str) and value in words


def to_ms(text: Any) -> int:
    """Milliseconds since 1970 of an RFC 3339 instant with its zone (DOMAIN, Metering 4); the rest is cut off."""
    if not isinstance(text, str) or not RFC3339.fullmatch(text):
        raise ValueError("not an RFC 3339 instant with a zone")
    return (datetime.fromisoformat(text.upper()) - EPOCH) // timedelta(milliseconds=1)


def policy_of(line: bytes) -> dict[str, Any] | None:
    """A policy record's fields; None of any other line."""
    if b'"meter.policy"' not in line:
        return None
    found: dict[str, Any] = json.loads(line)
    return found


PLAN = is_one_of("standard", "enterprise")
CHAT_FIELDS: dict[str, Check] = {
    "workspace_id": is_name,
    "bot_id": is_name,
    "channel": is_name,
    "channel_user_id": is_name,
    "direction": is_one_of("in", "out"),
    "actor": is_one_of("user", "bot", "agent", "developer"),
}
CHAT_TYPES = ("chat.message", "chat.notification.proactive", "chat.notification.alert")

REQUIRED: dict[str, dict[str, Check]] = {
    **dict.fromkeys(CHAT_TYPES, CHAT_FIELDS),
    "billing.workspace.created": {"workspace_id": is_name, "plan": PLAN},
    "billing.bot.created": {"workspace_id": is_name, "bot_id": is_name},
    "billing.grant.assigned": {"workspace_id": is_name, "grant_id": is_name, "amount_micros": is_positive_amount},
    "billing.credits.purchased": {
        "workspace_id": is_name,
        "order_id": is_name,
        "amount_micros": is_positive_amount,
        "method": is_name,
    },
    "billing.plan.changed": {"workspace_id": is_name, "plan": PLAN},
}
OPTIONAL: dict[str, dict[str, Check]] = {
    "billing.workspace.created": {"session_price_micros": is_amount, "free_grant_micros": is_amount},
    "billing.bot.created": {"plan": PLAN, "session_price_micros": is_amount},
    "billing.grant.assigned": {"expires_at": is_instant},
    "billing.credits.purchased": {"bot_id": is_name},
    "billing.plan.changed": {"bot_id": is_name, "session_price_micros": is_amount},
}
DESCRIPTIVE = {"billing.workspace.created": ("owner", "name"), "billing.bot.created": ("owner", "name")}


def read(number: int, line: bytes) -> Event | Command:
    """The event or command of one line. Raises RefusedError with the first field, in this order, that is wrong."""
    if len(line) > MAX_LINE_BYTES:
        raise RefusedError("oversize")
    record = parse(line)
    envelope: dict[str, Check] = {
        "specversion": is_one_of("1.0"),
        "type": is_one_of(*REQUIRED),
        "id": is_name,
        "source": is_name,
        "time": is_instant,
        "data": lambda value: isinstance(value, dict),
    }
    demand(record, envelope)
    kind, data = record["type"], record["data"]
    demand(data, REQUIRED[kind])
    for field, check in OPTIONAL.get(kind, {}).items():
        if data.get(field) is not None or field in data.repeated:
            demand(data, {field: check})
    demand(data, dict.fromkeys(DESCRIPTIVE.get(kind, ()), is_text), optional=True)
    head = (number, data["workspace_id"], record["source"], record["id"], kind, to_ms(record["time"]))
    if kind not in CHAT_TYPES:
        return Command(*head, data)
    who = (data["bot_id"], data["channel"], data["channel_user_id"], data["direction"], data["actor"])
    return Event(*head, *who)


def parse(line: bytes) -> dict[str, Any]:
    """A JSON object in UTF-8, or RefusedError. NaN and Infinity are Python's own and no JSON."""
    try:
        record = json.loads(line.decode("utf-8"), parse_constant=_no_json, parse_int=_integer, object_pairs_hook=Parsed)
    except (ValueError, RecursionError):
        raise RefusedError("unreadable") from None
    if not isinstance(record, dict) or depth(record) > MAX_DEPTH:
        raise RefusedError("unreadable")
    return record


def depth(value: Any) -> int:
    """How many objects and lists lie in each other."""
    deepest, layer = 0, [value]
    while layer := [each for each in layer if isinstance(each, Parsed | list)]:
        deepest += 1
        layer = [inner for each in layer for inner in (each.every if isinstance(each, Parsed) else each)]
    return deepest


class Parsed(dict[str, Any]):
    """A JSON object that knows which names it held more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.every = [value for _, value in pairs]
        names = [name for name, _ in pairs]
        self.repeated = {name for name in names if names.count(name) > 1} if len(self) < len(names) else set()


def demand(record: dict[str, Any], checks: dict[str, Check], *, optional: bool = False) -> None:
    """Every field must be there, unless optional, once, and pass its check."""
    for field, check in checks.items():
        if isinstance(record, Parsed) and field in record.repeated:
            raise RefusedError("invalid", field)
        if optional and field not in record:
            continue
        if field not in record or not check(record[field]):
            raise RefusedError("invalid", field)


def _integer(digits: str) -> int:
    """Python refuses to read very long integers, which JSON allows; no field of ours may be as large as this one."""
    return int(digits) if len(digits) < 30 else 10**30


def _no_json(word: str) -> Any:
    raise ValueError(word)
