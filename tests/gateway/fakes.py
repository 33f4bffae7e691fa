"""The gateway's application on a fake of Kafka, with keys, and a client for it."""

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
from starlette.types import ASGIApp

from meter.core.policy import Policy
from meter.core.wallet.wallets import Wallets
from meter.gateway.app import make_app
from meter.gateway.key_file import WatchedKeys, changing_keys
from meter.gateway.keys import KeyRole, make_key
from meter.gateway.limits import HeldBytes, Rates
from meter.gateway.outcomes import Outcomes
from meter.gateway.parts import Parts
from meter.gateway.ports import KafkaAwayError
from meter.gateway.streams import Streams
from meter.kafka.entitlements import Entitlements
from meter.kafka.records import Record
from schemas.entitlements import EntitlementRecord, encode_entitlement
from schemas.topics import Topic
from tests.gateway.wallet import outcome_of

NOW_MS: Final = 1_790_000_000_000


class FakeKafka:
    """Records by topic in one partition. `is_away` loses everything; `is_known_up` is what the readers think."""

    def __init__(self) -> None:
        self.topics: dict[str, list[Record]] = {}
        self.is_known_up = True
        self.is_away = False
        self.on_written: Callable[[Record, int], None] = lambda _record, _offset: None

    def is_up(self) -> bool:
        return self.is_known_up

    async def write(self, topic: Topic, records: Sequence[Record]) -> None:
        if self.is_away:
            raise KafkaAwayError("away")
        self.topics.setdefault(topic.name, []).extend(records)

    async def write_one(self, topic: Topic, record: Record) -> int:
        await self.write(topic, [record])
        offset = len(self.topics[topic.name]) - 1
        self.on_written(record, offset)
        return offset

    def values(self, topic: Topic) -> list[bytes]:
        return [record.value or b"" for record in self.topics.get(topic.name, [])]


class World:
    """A gateway on fakes. `key` makes a key and returns it."""

    def __init__(self, directory: Path, rate: int = 1_000) -> None:
        self.now_s = 0.0
        self.kafka = FakeKafka()
        self.key_file = directory / "keys.json"
        rates = Rates(rate, lambda: self.now_s)
        self.parts = Parts(
            keys=WatchedKeys(self.key_file, rates.forget_all_except),
            writer=self.kafka,
            rates=rates,
            held=HeldBytes(),
            outcomes=Outcomes(),
            entitlements=Entitlements(),
            streams=Streams(),
            is_caught_up=asyncio.Event(),
        )
        self.parts.is_caught_up.set()
        self.app: ASGIApp = make_app(self.parts)

    def key(self, role: KeyRole = "platform_admin", workspace_id: str = "", expires_ms: int | None = None) -> str:
        ends = None if expires_ms is None else datetime.fromtimestamp(expires_ms / 1000, UTC)
        token, made = make_key(f"the {role}", role, workspace_id, ends, NOW_MS)
        with changing_keys(self.key_file) as keys:
            keys.append(made)
        return token

    def client(self, token: str = "") -> httpx.AsyncClient:
        """A client without a network. An exception of the application is an answer with 500, as from a server."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers)

    async def ask(
        self, method: str, path: str, token: str = "", content: bytes = b"", **headers: str
    ) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client(token) as client:
            return await client.request(method, path, content=content, headers=named)

    def charge_at_once(self) -> Wallets:
        """Give each single command to a wallet as it is written, and its outcome to the gateway."""
        wallets = Wallets(Policy())
        self.kafka.on_written = lambda record, offset: self.parts.outcomes.add(
            outcome_of(wallets, record, offset), "outcomes/0"
        )
        return wallets

    def entitled(self, bot_id: str, version: int, workspace_id: str = "w", **more: Any) -> bytes:
        """A record of entitlements, as one that the gateway has read."""
        value = entitlement(bot_id, version, workspace_id, **more)
        newest = self.parts.entitlements.add(value, "entitlements/0")
        if newest is not None:
            self.parts.streams.publish(newest)
        return value


def entitlement(bot_id: str, version: int, workspace_id: str = "w", **more: Any) -> bytes:
    fields: dict[str, Any] = {
        "active": True,
        "status": "Sufficient funds",
        "reason": "paid_credit",
        "plan": "standard",
        "available_micros": 5_000_000,
        "free_micros": 0,
        "designated_micros": 0,
        "shared_micros": 5_000_000,
        "allowed_units": 25,
        "attribution": False,
        "limits": {},
        "features": {},
        "as_of": "2026-09-21T14:13:20.000Z",
    }
    return encode_entitlement(
        EntitlementRecord(workspace_id=workspace_id, bot_id=bot_id, version=version, **(fields | more))
    )


def changed(value: bytes, **fields: Any) -> bytes:
    """An event or a command with other fields; one that is None is left out. `data_x` is `x` of its data."""
    found = json.loads(value)
    for name, field in fields.items():
        target, key = (found["data"], name[5:]) if name.startswith("data_") else (found, name)
        target.pop(key, None)
        if field is not None:
            target[key] = field
    return json.dumps(found).encode()
