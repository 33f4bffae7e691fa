"""A plan that changes for many conversations, with real workers that are killed between its slices."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meter.kafka.reader import records
from schemas.topics import WALLET_INPUTS
from tests.brokers import Broker
from tests.feeds.lines import DAY_MS, chat_data, envelope, line, millis
from tests.integration.processes import Deployment, answer, deployed, eventually

pytestmark = pytest.mark.integration

CONVERSATIONS = 3_000
SLICES = CONVERSATIONS // 1_000
START_MS = millis(2026, 8, 29)
WORKSPACE = "large"
SESSION_MICROS = 70_001
GRANT_MICROS = 10**10


def command(kind: str, at_ms: int, name: str, **data: Any) -> bytes:
    return line(envelope(f"billing.{kind}", at_ms, name, "/console", {"workspace_id": WORKSPACE, **data}))


def spoken() -> Iterator[bytes]:
    """A workspace, and the first message of each of its conversations, all within half a day."""
    yield command("workspace.created", START_MS - DAY_MS, "c", plan="standard", free_grant_micros=GRANT_MICROS)
    for number in range(CONVERSATIONS):
        who = chat_data(WORKSPACE, "b", "web", f"u-{number}", "user")
        yield line(envelope("chat.message", START_MS + number * DAY_MS // 2 // CONVERSATIONS, f"e-{number}", "/r", who))


def slices_ordered(it: Deployment) -> int:
    """How many slices the charger has ordered so far."""

    async def count() -> int:
        values = [record.value or b"" async for record in records(it.broker.bootstrap, WALLET_INPUTS)]
        return len({value for value in values if b'"meter.slice"' in value})

    return asyncio.run(count())


def wait_for_slices(it: Deployment, wanted: int) -> None:
    eventually(f"{wanted} slices are ordered", lambda: slices_ordered(it) >= wanted, 120)


@pytest.mark.timeout(600)
def test_a_plan_change_over_many_conversations_outlives_its_workers(broker: Broker, tmp_path: Path) -> None:
    """Killed -9 after the first slice and in the middle: each conversation is charged once in the end, at the new
    price."""
    with deployed(broker, tmp_path, METER_CHECKPOINT_MS="300", AGGREGATOR_FLUSH_MS="50") as it:
        worker = it.start("meter")
        it.start("aggregator")
        it.produce(spoken())
        it.do("meter", "drained", "--timeout", "120")
        begun_s = time.monotonic()
        changed = {"plan": "enterprise", "session_price_micros": SESSION_MICROS}
        it.produce([command("plan.changed", START_MS - DAY_MS // 2, "p", **changed)])
        for wanted in (1, SLICES // 2 + 1):
            wait_for_slices(it, wanted)
            worker = it.restart(worker)
        it.do("meter", "drained", "--timeout", "300")
        print(f"{CONVERSATIONS} conversations, killed twice: {time.monotonic() - begun_s:.1f} s")
        assert slices_ordered(it) == SLICES - 1
        it.drain()
    due_micros = CONVERSATIONS * SESSION_MICROS
    assert answer(tmp_path, CHARGES) == [
        {"kind": "charge", "amount": -CONVERSATIONS * 200_000 - due_micros, "entries": 2 * CONVERSATIONS},
        {"kind": "reversal", "amount": CONVERSATIONS * 200_000, "entries": CONVERSATIONS},
    ]
    assert answer(tmp_path, "SELECT sum(charged_free_micros) AS due FROM usage_daily") == [{"due": due_micros}]
    assert answer(tmp_path, "SELECT free_micros AS left FROM balances") == [{"left": GRANT_MICROS - due_micros}]


CHARGES = (
    "SELECT kind, sum(amount_micros) AS amount, count() AS entries FROM ledger "
    "WHERE kind IN ('charge', 'reversal') GROUP BY kind ORDER BY kind"
)
