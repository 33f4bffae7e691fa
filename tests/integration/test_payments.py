"""Orders and auto-reloads through real workers: each is paid and credited once, also if payments workers are killed."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from meter.kafka import reader
from schemas.ledger import Entry, decode_ledger_update
from schemas.payments import PaymentRequest, decode_payment_request
from schemas.topics import LEDGER, PAYMENT_REQUESTS
from tests.brokers import EMBEDDED, running_broker
from tests.integration.processes import Deployment, answer, deployed, environment, eventually
from tests.integration.processes import command as command_line
from tests.oracle.build import HOUR, chat, command

pytestmark = pytest.mark.integration

USD = 1_000_000
WORKSPACES = 40
RELOADS = 3
WAIT_S = 120


def workspace(number: int) -> list[bytes]:
    """One that orders $100, and then reloads by $100 until it has more than $350."""
    ws, at = f"w-{number}", number
    setting: dict[str, Any] = {
        "enabled": True,
        "reload_micros": 100 * USD,
        "threshold_micros": 350 * USD,
        "method_id": "sandbox_ok",
    }
    return [
        command("workspace.created", at, ws=ws, plan="standard", free_grant_micros=0),
        command("method.saved", at, ws=ws, method_id="sandbox_ok", kind="card", label="Visa ··4242"),
        command("order.placed", at, ws=ws, order_id="o", amount_micros=100 * USD, method="card"),
        command("credits.purchased", at, ws=ws, order_id="first", amount_micros=USD, method="wire"),
        command("auto_reload.set", at + HOUR, ws=ws, **setting),
    ]


def entries(it: Deployment) -> dict[str, Entry]:
    """Those on the ledger, each once."""

    async def read() -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        async for record in reader.records(it.broker.bootstrap, LEDGER):
            update = decode_ledger_update(record.value)
            found |= {entry.entry_id: entry for entry in update.entries}
        return found

    return asyncio.run(read())


def requests(it: Deployment) -> set[PaymentRequest]:
    async def read() -> set[PaymentRequest]:
        return {decode_payment_request(r.value) async for r in reader.records(it.broker.bootstrap, PAYMENT_REQUESTS)}

    return asyncio.run(read())


def test_payments_workers_that_are_killed_pay_and_credit_once(tmp_path: Path) -> None:
    """Every order and every reload has one lot, however often its payment was asked for."""
    expected = WORKSPACES * (2 + RELOADS)
    with running_broker(EMBEDDED, tmp_path / "broker") as broker, deployed(broker, tmp_path) as it:
        meter, payments = it.start("meter"), it.start("meter payments")
        meter.ready()
        payments.ready()
        it.produce(line for number in range(WORKSPACES) for line in workspace(number))
        for least in (WORKSPACES // 4, WORKSPACES * 2):
            eventually("some are paid", lambda least=least: len(entries(it)) >= least, WAIT_S, every_s=0.5)  # type: ignore[misc]
            payments = it.restart(payments)
        eventually("all are paid", lambda: len(entries(it)) >= expected, WAIT_S, every_s=0.5)
        asked, found = requests(it), entries(it)
        payments.ready()
        payments.ask_to_stop()
        payments.stopped()
    assert len({each.idempotency_key for each in asked}) == len(asked) == WORKSPACES * (1 + RELOADS)
    assert set(Counter(entry.lot_id + entry.entry_id.partition("#")[0] for entry in found.values()).values()) == {1}
    assert {entry.kind for entry in found.values()} == {"purchase"}
    assert sum(entry.amount_micros for entry in found.values()) == WORKSPACES * (USD + (1 + RELOADS) * 100 * USD)


def test_a_run_on_this_machine_pays_its_orders(tmp_path: Path) -> None:
    """With --once it ends when no payment is unanswered, and no answer uncharged: each reload causes the next one."""
    feed, data = tmp_path / "feed.ndjson", tmp_path / "data"
    feed.write_bytes(b"".join(line + b"\n" for line in (*workspace(0), chat(2 * HOUR, ws="w-0"))))
    done = command_line("meter", "run", "--feed", str(feed), "--data", str(data), "--once", env=environment())
    assert done.returncode == 0, done.stderr
    assert "difference 0" in done.stdout
    sums = answer(data, "SELECT kind, count() AS number FROM ledger GROUP BY kind ORDER BY kind")
    assert sums == [{"kind": "charge", "number": 1}, {"kind": "purchase", "number": 2 + RELOADS}]
