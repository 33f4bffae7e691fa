"""What this version writes for a small fixed feed, and what a reader finds in it."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from meter.charger.charger import Charger
from meter.core.policy import Policy
from meter.core.wallet.chunks import CHUNK_ROWS
from meter.kafka.records import Record
from meter.sessionizer.python_engine import CoreEngine
from meter.sessionizer.sessionizer import Sessionizer
from schemas import formats
from schemas.events import encode_tick
from schemas.instants import HOUR_MS, MINUTE_MS, rfc3339
from schemas.replays import Claim, Receipt
from schemas.topics import CHAT_EVENTS, CONVERSATION_STATE, REPLAYS, WALLET_INPUTS, WALLET_STATE
from tests.golden.topics import NOW_MS, Reader, Topics
from tests.properties.view import view

DIRECTORY: Final = Path(__file__).parent
RECORDS: Final = "records.json"
MEANING: Final = "meaning.json"

Line = dict[str, Any] | bytes

_DAY: Final = "2025-12-30T"
_LONG_BEGINS_MS: Final = NOW_MS - 56 * HOUR_MS


def directory() -> Path:
    """Where the files of the present formats are."""
    numbers = formats.STATE_FORMAT, formats.METERED_FORMAT, formats.LEDGER_FORMAT
    return DIRECTORY / ".".join(str(number) for number in numbers)


async def written() -> dict[str, str]:
    """The golden files of this version: content by file name."""
    topics = Topics()
    sessionizer, charger = _readers(topics)
    for command in _COMMANDS:
        topics.add(WALLET_INPUTS.name, 0, _record(command))
    await sessionizer.leave_out(6, "value: 3 workers ended while they processed this record: E: e")
    for part in (_EVENTS[:3], _EVENTS[3:], _long_conversation()):
        for line in part:
            topics.add(CHAT_EVENTS.name, 0, _record(line))
        await sessionizer.read()
        await charger.read()
    for each in _REPLAY:
        topics.add(REPLAYS.name, 0, each)
    kept = topics.as_json()
    return {RECORDS: _json(kept), MEANING: _json(await meaning(kept))}


async def meaning(kept: dict[str, Any]) -> dict[str, Any]:
    """What this version finds in records: both stages restore their state from them, and a final tick ends the feed."""
    topics = Topics()
    topics.add_json(kept)
    topics.add(CHAT_EVENTS.name, 0, Record(None, encode_tick(NOW_MS, final=True)))
    for reader in _readers(topics):
        await reader.read()
    found = view(topics)
    named = {
        "entries": found.entries,
        "conversations": {"/".join(key): fact for key, fact in found.conversations.items()},
        "usage": {"/".join(map(str, key)): fact for key, fact in found.usage.items()},
        "balances": found.balances,
        "totals": found.totals,
        "dead": {letter.letter_id: letter for letter in found.dead.values()},
    }
    builtins: dict[str, Any] = msgspec.to_builtins(named)
    return builtins


def _readers(topics: Topics) -> tuple[Reader, Reader]:
    policy = Policy()

    def make_sessionizer(partition: int, partitions: int) -> Sessionizer:
        return Sessionizer(policy, partition, CoreEngine, partitions)

    return (
        Reader(topics, CHAT_EVENTS, CONVERSATION_STATE, make_sessionizer),
        Reader(topics, WALLET_INPUTS, WALLET_STATE, partial(Charger, policy)),
    )


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def _record(line: Line) -> Record:
    if isinstance(line, bytes):
        return Record(None, line)
    return Record(line["data"]["workspace_id"].encode(), json.dumps(line, separators=(",", ":")).encode())


def _envelope(kind: str, event_id: str, time: str, /, **data: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": event_id, "source": "/g", "type": kind, "time": _DAY + time, "data": data}


def _long_conversation() -> Iterator[dict[str, Any]]:
    """A conversation whose sessions take more than one chunk of a checkpoint."""
    who = _who("enterprise") | {"channel_user_id": "long"}
    for number in range(CHUNK_ROWS + 3):
        at_ms = _LONG_BEGINS_MS + number * 15 * MINUTE_MS
        told = _envelope("chat.message", f"l-{number}", "", **who, **_says("user"))
        yield told | {"time": rfc3339(at_ms)}


def _message(event_id: str, time: str, workspace: str, actor: str) -> dict[str, Any]:
    return _envelope("chat.message", event_id, time, **_who(workspace), **_says(actor))


def _who(workspace: str) -> dict[str, Any]:
    return {"workspace_id": workspace, "bot_id": "b", "channel": "web", "channel_user_id": "u"}


def _says(actor: str) -> dict[str, Any]:
    return {"direction": "in" if actor in ("user", "developer") else "out", "actor": actor}


_COMMANDS: Final = (
    _envelope(
        "billing.workspace.created", "c-1", "08:00:00.000Z",
        workspace_id="standard", name="S", owner="s@example.com", plan="standard", free_grant_micros=300_000,
    ),
    _envelope(
        "billing.workspace.created", "c-2", "08:00:00.000Z",
        workspace_id="enterprise", name="E", owner="e@example.com", plan="enterprise", session_price_micros=350_000,
    ),
    _envelope(
        "billing.credits.purchased", "c-3", "08:30:00.000Z",
        workspace_id="standard", amount_micros=5_000_000, bot_id=None, order_id="o-1", method="card",
    ),
    _envelope(
        "billing.grant.assigned", "c-4", "08:30:00.000Z",
        workspace_id="standard", amount_micros=7, grant_id="short", expires_at="2025-12-30T08:59:00Z",
    ),
    _envelope(
        "billing.bot.created", "c-5", "08:30:00.000Z",
        workspace_id="enterprise", bot_id="other", name="Other", owner="o@example.com", plan="enterprise",
    ),
    _envelope("billing.plan.changed", "c-6", "09:30:00.000Z", workspace_id="enterprise", plan="standard"),
    _envelope(
        "billing.method.saved", "c-7", "08:30:00.000Z",
        workspace_id="standard", method_id="m-1", kind="card", label="Visa ··4242", expires="2027-03",
    ),
    _envelope(
        "billing.order.placed", "c-8", "08:31:00.000Z",
        workspace_id="standard", order_id="o-2", amount_micros=100_000_000, method="card", method_id="m-1",
    ),
    _envelope(
        "billing.payment.settled", "c-9", "08:32:00.000Z",
        workspace_id="standard", order_id="o-2", payment_id="p-2", amount_micros=100_000_000,
    ),
    _envelope(
        "billing.order.refunded", "c-10", "08:33:00.000Z",
        workspace_id="standard", order_id="o-2", refund_id="r-2", amount_micros=60_000_000,
    ),
    _envelope(
        "billing.auto_reload.set", "c-11", "08:34:00.000Z",
        workspace_id="standard", enabled=True, reload_micros=100_000_000, threshold_micros=50_000_000,
        method_id="m-1", max_per_month_micros=500_000_000,
    ),
)  # fmt: skip

_EVENTS: Final = (
    _message("e-1", "09:00:00.000Z", "standard", "user"),
    _message("e-2", "09:00:01.000Z", "standard", "bot"),
    _message("e-3", "09:01:00.000Z", "enterprise", "user"),
    _message("e-4", "09:20:00.000Z", "enterprise", "user"),
    _message("e-4", "09:20:00.000Z", "enterprise", "user"),
    _envelope("chat.notification.alert", "e-5", "09:21:00.000Z", **_who("standard"), **_says("bot")),
    _message("e-6", "09:21:30.000Z", "standard", "user"),
    _message("e-7", "09:22:00.000Z", "standard", "agent"),
    b"not json",
    _message("e-8", "09:40:00.000Z", "standard", "user"),
)

_REPLAY: Final = (
    Record(b"chat-events/0/8", b"{}", Claim("chat-events/0/8", "nonce", b"{}").headers()),
    Record(b"chat-events/0/8", b"", Receipt("chat-events/0/8", "nonce", "chat-events/0/10").headers()),
)
